"""The recipe's table [distill]: who learns, from whom, beside which baselines."""

from typing import Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from stillroom.students.shapes import is_folder
from stillroom.students.training import Training
from stillroom.teachers.settings import Settings as Asking

ARMS = {
    "distilled": "the teacher's answers that passed the check, reasoning included",
    "unverified": "the teacher's first sampled answers, whether right or wrong",
    "gold": "the records that the teacher learnt from, reasoning included",
    "answer-only": "final answers alone, at equal tokens",
    "answer-only-examples": "final answers alone, at equal examples",
    "sequence": "the texts alone, without the teacher's probabilities",
    "untrained": "the same student before it learnt anything",
}


class Taught(BaseModel, frozen=True, extra="forbid"):
    """[distill.teacher]: a model that answers the training questions; one of the three sources.

    `student` is a size: a model trained here first, on the `gold` first training records. `folder`
    holds a model that is there already. `ask` is a table like [teacher]: a server.
    """

    student: str = ""
    folder: str = ""
    ask: Asking | None = None
    gold: int = Field(default=1000, ge=1)
    train: Training = Training(tokens=1_500_000, batch=16)
    rounds: int = Field(default=0, ge=0, le=10)
    """Times that it is trained anew on gold and its own verified answers before it teaches."""
    questions: int = Field(default=10_000, ge=1)
    """Training questions that it answers: those after the gold ones."""
    samples: int = Field(default=4, ge=1)
    """Answers to a question; the first that passes the check is learnt."""
    greedy: bool = True
    """Whether the first of a local model's answers is the likeliest; the others are sampled."""
    temperature: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _one_source(self) -> "Taught":
        if bool(self.student) + bool(self.folder) + (self.ask is not None) != 1:
            raise ValueError("give one of student (a size), folder (a model) or ask (a server)")
        return self


class Divergence(BaseModel, frozen=True, extra="forbid"):
    """[distill.logits]: how the teacher's probabilities are learnt, in modes with them."""

    kind: Literal["forward", "reverse", "jsd"] = "forward"
    temperature: float = Field(default=1.0, gt=0)
    weight: float = Field(default=1.0, gt=0, le=1)
    """Of the divergence; the rest is the loss on the text."""
    beta: float = Field(default=0.5, gt=0, lt=1)
    samples: int = Field(default=0, ge=0, le=255)
    """Tokens drawn from the teacher for each place, stored once; 0: its full logits, live."""


class OnPolicy(BaseModel, frozen=True, extra="forbid"):
    """[distill.on_policy]: in mode `on_policy` the teacher judges what the student itself says.

    First the student learns the texts as in mode `sequence`: one that has learnt nothing says
    noise, and the teacher's opinion of noise is noise. Then [distill.logits] says by which
    divergence, and at which temperature, its own answers are judged.
    """

    warm: float = Field(default=0.5, ge=0, lt=1)
    """The share of the tokens that goes into the texts. 0: for a model from a folder alone."""


class Distill(BaseModel, frozen=True, extra="forbid"):
    """What `stillroom distill` does with a run."""

    student: str = "tiny"
    lora: int = Field(default=0, ge=0)
    tokenizer: str = "bpe"
    context: int = Field(default=512, ge=8)
    mode: Literal["sequence", "rationale", "logits", "on_policy"] = "sequence"
    keep: Literal["verified", "all"] = "verified"
    trainer: Literal["own", "trl"] = "own"
    """What trains the arms on texts: our own loop, or TRL's SFTTrainer."""
    arms: tuple[str, ...] = ("answer-only", "untrained")
    """Baselines; the distilled student itself is always there."""
    seeds: int = Field(default=1, ge=1, le=100)
    rates: tuple[float, ...] = ()
    """Learning rates that each arm tries with its first seed; the validation split decides."""
    train: Training = Training()
    teacher: Taught | None = None
    logits: Divergence = Divergence()
    on_policy: OnPolicy = OnPolicy()
    test: int = Field(default=500, ge=1)
    """Questions of each test (ordinary, extrapolate)."""
    validation: int = Field(default=200, ge=1)
    samples: int = Field(default=0, ge=0)
    """Sampled answers to each test question, for pass@k; 0: greedy alone."""
    max_tokens: int | None = Field(default=None, ge=1)

    @field_validator("arms")
    @classmethod
    def _known(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        for arm in arms:
            if arm not in ARMS:
                raise ValueError(f"no arm {arm!r} (there are {', '.join(ARMS)})")
        return tuple(arm for arm in dict.fromkeys(arms) if arm != "distilled")

    @field_validator("rates")
    @classmethod
    def _apart(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        if any(not rate > 0 for rate in rates) or len(set(rates)) != len(rates):
            raise ValueError("learning rates are above 0, each once")
        return rates

    @model_validator(mode="after")
    def _fits(self) -> "Distill":
        near = self.teacher is not None and self.teacher.ask is None
        if self.mode in ("logits", "on_policy") and not near:
            raise ValueError(
                f"mode {self.mode!r} needs the teacher's own probabilities: "
                "a [distill.teacher] with a student or a folder"
            )
        needs = {"gold": bool(self.teacher and self.teacher.student)}
        with_teacher = self.mode in ("logits", "on_policy")
        needs |= {"unverified": self.teacher is not None, "sequence": with_teacher}
        for arm, met in needs.items():
            if arm in self.arms and not met:
                what = {
                    "gold": "a teacher that is trained here ([distill.teacher] student = ...)",
                    "unverified": "a [distill.teacher]",
                    "sequence": 'mode = "logits" or "on_policy"',
                }
                raise ValueError(f"arm {arm!r} needs {what[arm]}")
        self._fits_trl()
        return self

    def _fits_trl(self) -> None:
        if self.trainer == "trl" and self.mode == "logits":
            raise ValueError('mode "logits" is our own loop\'s: trainer = "own"')
        if self.mode == "on_policy" and (self.logits.weight < 1 or self.logits.samples):
            raise ValueError(
                'mode "on_policy" takes the teacher\'s full probabilities alone: '
                "[distill.logits] weight = 1, samples = 0"
            )
        if self.mode == "on_policy" and not self.on_policy.warm and not is_folder(self.student):
            raise ValueError(
                "on-policy from a student that has learnt nothing gives noise: train it in mode "
                '"sequence" first, that is, [distill.on_policy] warm above 0'
            )
