"""Why a confirmed failure happens: which experiment tells most, and what the answers mean. Pure."""

from probe.state.causes.inquiry import BUDGET, Inquiry, Settled
from probe.state.causes.question import Question, Trial

__all__ = ["BUDGET", "Inquiry", "Question", "Settled", "Trial"]
