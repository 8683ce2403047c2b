"""What a benchmark is made of, and the loop that takes the samples.

A case (``P1``) asks questions; a question has contenders and targets. All contenders of a question
run in one process and take turns within each round, so that whatever the machine does meanwhile
happens to all of them; a figure is the ratio of two contenders within a round.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from data import Dataset

OURS = "fastckpt"
CEILING = "ceiling"


class Unavailable(Exception):  # noqa: N818 - not an error: the report says why and goes on
    """A peer, a feature or a device is not there; the reason is the message."""


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a question.

    ``prepare`` is not timed; what it returns is given to ``run``, and what ``run`` returns is
    dropped after the clock has stopped. With ``own_clock``, ``run`` returns its seconds.
    """

    name: str
    run: Callable[[Any], Any]
    prepare: Callable[[], Any] = lambda: None
    peer: str = OURS
    note: str = ""
    own_clock: bool = False


@dataclass(frozen=True)
class Target:
    """A promise about one contender, alone or against another.

    ``speedup``: `against` takes at least `bound` times as long. ``fraction``: `ours` takes at most
    `bound` of the time of `against`. ``seconds``: at most, per sample (bytes where the question
    samples memory). ``rate``: at least, in bytes per second. A target without a bound only prints
    the pair.
    """

    ours: str
    against: str = ""
    kind: Literal["speedup", "fraction", "seconds", "rate"] = "speedup"
    bound: float | None = None


# Gives the paths of the question's datasets by their names.
Inputs = Mapping[str, str]
Factory = Callable[[Inputs], Contender]


@dataclass(frozen=True)
class PeerFactory:
    """Makes a contender of a peer, which is not even imported when ``--peer`` leaves it out."""

    peer: str
    make: Factory

    def __call__(self, inputs: Inputs) -> Contender:
        return self.make(inputs)


@dataclass(frozen=True)
class Question:
    """What is asked, of whom, on which data.

    ``work`` is what one sample moves, in ``unit``: bytes, or a number of tensors; None where only
    seconds make sense. With the unit "memory" samples are bytes of memory in place of seconds.
    ``cache`` and ``verified`` say the state of the page cache and whether checksums are compared
    or computed: questions that differ in either are different questions, and a contender that
    differs says so in its note. ``check`` raises where a result is wrong; ``before_sample`` brings
    the machine into the same state before every sample, off the clock.
    """

    name: str
    contenders: Sequence[Factory]
    targets: Sequence[Target] = ()
    needs: Mapping[str, Dataset] = field(default_factory=dict)
    work: float | None = None
    unit: Literal["bytes", "tensors", "runs", "memory"] = "bytes"
    cache: Literal["warm", "cold", "none"] = "warm"
    verified: bool = True
    repeat: int | None = None
    warm_up: int = 1
    check: Callable[[Inputs], None] | None = None
    before_sample: Callable[[], None] | None = None


@dataclass(frozen=True)
class Settings:
    """What the command line decided."""

    size_mib: int = 2048
    tensors: int = 100_000
    repeat: int = 7
    smoke: bool = False
    threads: tuple[int, ...] = (1, 2)
    # Kind of storage ("disk", "tmpfs") to the type of its file system ("ext4", "tmpfs").
    storage: Mapping[str, str] = field(default_factory=dict)
    peers: tuple[str, ...] = ()

    def wants(self, peer: str) -> bool:
        """Whether a peer takes part."""
        return not self.peers or peer in self.peers

    @property
    def nbytes(self) -> int:
        """Bytes of the large checkpoint."""
        return self.size_mib << 20

    @property
    def most_threads(self) -> int:
        """The larger of the thread counts that are tried."""
        return max(self.threads)


Questions = Callable[[Settings], Iterator[Question]]


@dataclass(frozen=True)
class Case:
    """A row of the target table: its questions are made anew in every process that needs them."""

    name: str
    title: str
    questions: Questions


CASES: dict[str, Case] = {}


def case(name: str, title: str) -> Callable[[Questions], Questions]:
    """Register the decorated generator of questions as a case."""

    def register(questions: Questions) -> Questions:
        if name in CASES:
            raise ValueError(f"two cases are called {name}")
        CASES[name] = Case(name, title, questions)
        return questions

    return register


@dataclass
class Result:
    """The samples of one question, in seconds, one list for each contender, rounds in order."""

    case: str
    question: str
    unit: str
    work: float | None
    cache: str
    verified: bool
    samples: dict[str, list[float]] = field(default_factory=dict)
    peers: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    targets: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    error: str = ""


def ask(case_name: str, question: Question, inputs: Inputs, settings: Settings) -> Result:
    """Take the samples of one question in this process."""
    result = Result(
        case_name, question.name, question.unit, question.work, question.cache, question.verified
    )
    result.targets = [asdict(target) for target in question.targets]
    if question.check is not None:
        question.check(inputs)
    contenders = []
    for factory in question.contenders:
        if isinstance(factory, PeerFactory) and not settings.wants(factory.peer):
            continue
        try:
            contender = factory(inputs)
        except Unavailable as reason:
            result.left_out.append(str(reason))
            continue
        contenders.append(contender)
        result.peers[contender.name] = contender.peer
        result.notes[contender.name] = contender.note
    rounds = settings.repeat if question.repeat is None else question.repeat
    result.samples = take_samples(contenders, rounds, question.warm_up, question.before_sample)
    return result


def take_samples(
    contenders: Sequence[Contender],
    rounds: int,
    warm_up: int = 1,
    before_sample: Callable[[], None] | None = None,
) -> dict[str, list[float]]:
    """Time the contenders in turns, shuffled anew in each round, after warm-up rounds.

    Nobody always runs after the same neighbour, whose caches and freed memory it would inherit.
    """
    samples: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    if len(samples) != len(contenders):
        raise ValueError("two contenders of a question have one name")
    shuffled, dice = list(contenders), random.Random(0)
    for number in range(-warm_up, rounds):
        dice.shuffle(shuffled)
        for contender in shuffled:
            if before_sample is not None:
                before_sample()
            seconds = sample(contender)
            if number >= 0:
                samples[contender.name].append(seconds)
    return samples


def sample(contender: Contender) -> float:
    """Run a contender once and return its seconds."""
    state = contender.prepare()
    gc.collect()
    start = time.perf_counter()
    product = contender.run(state)
    seconds = time.perf_counter() - start
    return float(product) if contender.own_clock else seconds


@dataclass(frozen=True)
class Figure:
    """Median and extremes of something."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Summarize samples."""
        return cls(statistics.median(values), min(values), max(values))


def ratio(result: Result, slow: str, fast: str) -> Figure:
    """Return how many times as long as `fast` `slow` takes, from the pairs of each round."""
    pairs = zip(result.samples[slow], result.samples[fast], strict=True)
    return Figure.of([a / b for a, b in pairs])
