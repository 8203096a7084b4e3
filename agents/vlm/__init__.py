"""Vision-language models as agents: loading, encoding, sampling and scoring; no training."""
