"""Training: a language model's step, the autoencoders' recall task, their switches, and where a step's time goes.

python -m attention.training --epochs 1 --validate
"""

from attention.training.language import synthetic_batch, train_step
from attention.training.recall import RecallTask, cosine_score, evaluate_cosine, recall_step
from attention.training.shares import step_shares

__all__ = [
    "RecallTask",
    "cosine_score",
    "evaluate_cosine",
    "recall_step",
    "step_shares",
    "synthetic_batch",
    "train_step",
]
