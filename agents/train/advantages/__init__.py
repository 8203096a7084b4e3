"""What each turn of a rollout was worth: the baselines, and the rollouts that they need.

`kinds` names the baselines, `facts` holds what they read, `estimators` has one function for each,
`value_head` is the critic, and `playing` makes rollouts.
"""
