"""An agent in ten lines: copy it anywhere and pass `--agent path/to/ten_line_agent.py:Mine`."""


class Mine:
    name = "mine"
    privileged = False
    settings = {}

    async def act(self, observation, env=None):
        assert env is None and observation["image"].shape == (300, 300, 3)
        return '{"action": "+"}'
