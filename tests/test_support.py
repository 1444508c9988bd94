"""The teacher store: what goes in comes out, under the same tokenizer alone."""

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
os.environ["HF_HUB_OFFLINE"] = "1"

from stillroom.errors import UserError  # noqa: E402
from stillroom.students.fingerprint import fingerprint, real_vocabulary  # noqa: E402
from stillroom.students.losses import Sampled, Top, divergence  # noqa: E402
from stillroom.students.store import Answer, open_store, write  # noqa: E402
from stillroom.students.support import sample_support, top_support  # noqa: E402

torch.set_num_threads(1)
WIDTH = 3000
TEMPLATE = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"


def tokenizer(words: int = WIDTH - 3, lower: bool = False, template: str = TEMPLATE) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = ["<pad>", "<end>", "<unk>", *(f"w{n}" for n in range(words))]
    plain = Tokenizer(models.WordLevel({w: n for n, w in enumerate(known)}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    if lower:
        plain.normalizer = normalizers.Lowercase()
    made = PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", eos_token="<end>", unk_token="<unk>"
    )
    made.chat_template = template
    return made


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    return fingerprint(tokenizer(), WIDTH, 1)


def answers(count: int, kind: str, width: int = WIDTH) -> Iterator[Answer]:
    """Answers of 1 to 40 tokens by a teacher who is sure of some tokens and not of others."""
    generator = torch.Generator().manual_seed(0)
    for n in range(count):
        length, start = 1 + (n * 7) % 40, 1 + n % 5
        sure = torch.rand(length, 1, generator=generator) * 6
        logits = torch.randn(length, width, generator=generator) * sure
        if kind == "sampled":
            support: Any = Sampled(*sample_support(logits, 12, generator))
        else:
            logp, ids = logits.log_softmax(-1).topk(20 if n % 3 else 9)
            logp[: length // 2, 8:] = -torch.inf  # servers give fewer now and then
            support = Top(*top_support(ids, logp))
        ids = torch.randint(0, width, (start + length,), generator=generator)
        yield Answer(f"a{n}", ids.numpy().astype(np.uint32), start, support)


def about(ours: dict[str, Any], kind: str = "sampled") -> dict[str, Any]:
    size = {"samples": 12} if kind == "sampled" else {"k": 20}
    return {**ours, "kind": kind, "teacher": "tiny, revision 3", **size}


def pairs(support: Any) -> list[list[tuple[int, float]]]:
    """Each row's ids with their counts or log-probabilities, padding gone."""
    sampled = isinstance(support, Sampled)
    values = support.counts if sampled else support.logp.half().float()
    return [
        sorted((i, v) for i, v in zip(*row, strict=True) if (v > 0 if sampled else v > -1e9))
        for row in zip(support.ids.tolist(), values.tolist(), strict=True)
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, ours: dict[str, Any]) -> Path:
    path = tmp_path_factory.mktemp("store") / "teacher.parquet"
    write(path, answers(1200, "sampled"), about(ours))
    return path


@pytest.mark.parametrize("kind", ["sampled", "top"])
def test_what_goes_in_comes_out(tmp_path: Path, ours: dict[str, Any], kind: str) -> None:
    path, given = tmp_path / "t.parquet", list(answers(1200, kind))
    footer = write(path, given, about(ours, kind))
    assert footer["tokens"] == sum(len(one.ids) - one.start for one in given) > 2**14
    with open_store(path, ours) as opened:
        assert len(opened) == footer["answers"] == 1200
        assert opened.about == {**about(ours, kind), **footer}
        for before, after in zip(given, opened, strict=True):
            assert (before.id, before.start) == (after.id, after.start)
            assert before.ids.tolist() == after.ids.tolist()
            assert pairs(before.support) == pairs(after.support)
            if kind == "top":
                assert torch.equal(before.support.tail.half().float(), after.support.tail)


@pytest.mark.parametrize("kind", ["sampled", "top"])
def test_a_batch_is_in_the_order_asked_and_ready_for_the_loss(
    tmp_path: Path, ours: dict[str, Any], kind: str
) -> None:
    path, given = tmp_path / "t.parquet", {one.id: one for one in answers(1200, kind)}
    write(path, given.values(), about(ours, kind))
    wanted = ["a1100", "a3", "a640", "a0"]
    with open_store(path) as opened:
        batch = opened.batch(wanted)
        one = opened.batch(wanted[1:2])
    assert [one.id for one in batch.answers] == wanted
    assert batch.tokens == sum(len(given[id].support.ids) for id in wanted)
    assert pairs(batch.teacher) == [row for id in wanted for row in pairs(given[id].support)]
    assert pairs(one.teacher) == pairs(given["a3"].support)
    student = torch.randn(batch.tokens, WIDTH)
    parts = torch.split(student, [len(one.support.ids) for one in batch.answers])
    apart = sum(
        divergence(part, given[id].support).item() for part, id in zip(parts, wanted, strict=True)
    )
    # Log-probabilities are kept in half precision.
    close = 1e-6 if kind == "sampled" else 1e-3
    assert divergence(student, batch.teacher).item() == pytest.approx(apart, rel=close)


def test_answers_without_support_are_named(store: Path) -> None:
    with open_store(store) as opened:
        assert opened.missing(["a1", "b1", "a2", "b2"]) == ["b1", "b2"]
        with pytest.raises(UserError, match="2 answers without the teacher's support: b1, b2"):
            opened.batch(["a1", "b1", "b2"])


def test_padded_vocabularies_of_one_tokenizer_agree(store: Path, ours: dict[str, Any]) -> None:
    for padded in (WIDTH, WIDTH + 64, WIDTH + 192):
        assert fingerprint(tokenizer(), padded, 1) == ours
    assert real_vocabulary(tokenizer()) == WIDTH
    open_store(store, fingerprint(tokenizer(), WIDTH + 128, 1)).close()


def test_a_saved_tokenizer_keeps_its_fingerprint(tmp_path: Path, ours: dict[str, Any]) -> None:
    from transformers import AutoTokenizer

    tokenizer().save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert fingerprint(again, WIDTH, 1) == ours


def swapped() -> Any:
    """The same tokens, two of them under each other's id."""
    from tokenizers import Tokenizer

    other = tokenizer()
    plain = json.loads(other.backend_tokenizer.to_str())
    known = plain["model"]["vocab"]
    known["w5"], known["w6"] = known["w6"], known["w5"]
    made = copy.copy(other)
    made._tokenizer = Tokenizer.from_str(json.dumps(plain))
    return made


@pytest.mark.parametrize(
    ("student", "named"),
    [
        (lambda: (swapped(), WIDTH, 1), {"tokenizer"}),
        (lambda: (tokenizer(lower=True), WIDTH, 1), {"tokenizer"}),
        (lambda: (tokenizer(template=TEMPLATE + " "), WIDTH, 1), {"chat template"}),
        (lambda: (tokenizer(template=""), WIDTH, 1), {"chat template"}),
        (lambda: (tokenizer(), WIDTH, 0), {"EOS"}),
        (lambda: (tokenizer(WIDTH), WIDTH + 3, 1), {"tokenizer", "vocabulary"}),
        (lambda: (tokenizer(90, template="x"), 93, 2),
         {"tokenizer", "chat template", "EOS", "vocabulary"}),
    ],
    ids=["ids", "normaliser", "template", "no template", "eos", "more tokens", "everything"],
)  # fmt: skip
def test_another_student_is_refused_by_name(
    store: Path, ours: dict[str, Any], student: Any, named: set[str]
) -> None:
    theirs = fingerprint(*student())
    with pytest.raises(UserError) as refused:
        open_store(store, theirs)
    keys = {"tokenizer": "tokenizer", "chat template": "template", "EOS": "eos"}
    for part in ("tokenizer", "chat template", "EOS", "vocabulary"):
        key = keys.get(part, part)
        values = f"{part} ({str(ours[key])[:12]} in the store, {str(theirs[key])[:12]} for"
        assert (values in refused.value.what) == (part in named)
        assert (f"{part}: " in refused.value.do) == (part in named)


def test_a_model_of_another_tokenizer_has_no_fingerprint() -> None:
    for width, eos in ((WIDTH - 1, 1), (WIDTH, WIDTH), (WIDTH, -1)):
        with pytest.raises(UserError, match="don't belong together"):
            fingerprint(tokenizer(), width, eos)


def test_damaged_files(store: Path, tmp_path: Path) -> None:
    whole, path = store.read_bytes(), tmp_path / "t.parquet"
    for content in (b"", whole[:40], whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="can't read this teacher store"):
            open_store(path)
    for at in (0.05, 0.4, 0.8):
        spoiled = bytearray(whole)
        spoiled[int(at * len(whole))] ^= 0x10
        path.write_bytes(spoiled)
        with (
            pytest.raises(UserError, match="can't read this teacher store"),
            open_store(path) as opened,
        ):
            list(opened)
    with pytest.raises(UserError, match="there is no teacher store"):
        open_store(tmp_path / "none.parquet")


def test_other_files_are_no_stores(tmp_path: Path, store: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": ["a"]}), path)
    with pytest.raises(UserError, match="not a teacher store of format 1"):
        open_store(path)
    (key, footer), = (
        (k, v) for k, v in pq.ParquetFile(store).metadata.metadata.items() if b"stillroom" in k
    )  # fmt: skip
    newer = {key: footer.replace(b'"format":1', b'"format":2')}
    pq.write_table(pq.read_table(store).replace_schema_metadata(newer), path)
    with pytest.raises(UserError, match="not a teacher store of format 1"):
        open_store(path)


def test_half_a_store_is_never_seen(tmp_path: Path, ours: dict[str, Any]) -> None:
    path, written = tmp_path / "t.parquet", 0

    def failing() -> Iterator[Answer]:
        nonlocal written
        for one in answers(1200, "sampled"):
            assert not path.exists()
            written += 1
            yield one
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, failing(), about(ours))
    assert written == 1200
    assert list(tmp_path.iterdir()) == []
    write(path, answers(3, "sampled"), about(ours))
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write(path, failing_over(path, before), about(ours))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def failing_over(path: Path, before: bytes) -> Iterator[Answer]:
    yield from answers(5, "sampled")
    assert path.read_bytes() == before
    raise KeyboardInterrupt


def spoil(change: dict[str, Any], support: dict[str, Any] | None = None) -> Answer:
    good = next(one for one in answers(9, "sampled") if len(one.support.ids) > 5)
    values = {**vars(good), **change}
    if support:
        values["support"] = Sampled(**{**vars(good.support), **support(good.support)})
    return Answer(**values)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda: spoil({"start": 0}), "starts at 0"),
        (lambda: spoil({"start": 3}), "tokens, but support of"),
        (lambda: spoil({}, lambda s: {"ids": s.ids + WIDTH}), "outside the vocabulary of 3000"),
        (lambda: spoil({"ids": np.full(10, WIDTH)}), "outside the vocabulary of 3000"),
        (lambda: spoil({}, lambda s: {"counts": s.counts * 2}), "don't add up to 12"),
        (lambda: spoil({}, lambda s: {"counts": s.counts * 0}), "isn't of 1 to 12 ids"),
        (lambda: spoil({}, lambda s: {"ids": s.ids * 0 + 7}), "names an id twice"),
        (lambda: [*answers(2, "top")][1], "not of the kind 'sampled'"),
        (lambda: next(answers(1, "sampled")), "an id twice"),
    ],
)
def test_unfit_answers_are_refused(
    tmp_path: Path, ours: dict[str, Any], bad: Any, words: str
) -> None:
    rows = [next(answers(1, "sampled")), bad()]
    with pytest.raises(UserError, match=words):
        write(tmp_path / "t.parquet", rows, about(ours))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "all"}, "no support is called 'all'"),
        ({"samples": 300}, "samples is 300"),
        ({"teacher": None}, "must say more of its teacher: teacher"),
        ({"template": None}, "must say more of its teacher: template"),
    ],
)
def test_a_store_says_whose_it_is(
    tmp_path: Path, ours: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    said = {k: v for k, v in {**about(ours), **change}.items() if v is not None}
    with pytest.raises(UserError, match=words):
        write(tmp_path / "t.parquet", [], said)


def test_samples_are_the_generators_and_unbiased() -> None:
    logits = torch.randn(1, 700, generator=torch.Generator().manual_seed(1)) * 2
    logits[0, -3:] = -torch.inf
    many = logits.expand(30_000, -1)
    ids, counts = sample_support(many, 12, torch.Generator().manual_seed(5))
    assert torch.equal(counts.sum(-1), torch.full((30_000,), 12))
    again = sample_support(many, 12, torch.Generator().manual_seed(5))
    assert torch.equal(ids, again[0])
    assert not torch.equal(ids, sample_support(many, 12, torch.Generator().manual_seed(6))[0])
    for row, count in zip(ids[:50].tolist(), counts[:50].tolist(), strict=True):
        drawn = [i for i, c in zip(row, count, strict=True) if c]
        assert drawn == sorted(set(drawn))
    total = torch.zeros(700, dtype=torch.int64)
    total.scatter_add_(0, ids.flatten(), counts.flatten())
    p = logits[0].double().softmax(-1)
    spread = (360_000 * p * (1 - p)).sqrt()
    assert ((total - 360_000 * p).abs() <= 4.5 * spread).all()
    assert not total[-3:].any()


def test_samples_of_no_distribution_are_refused() -> None:
    with pytest.raises(UserError, match="NaN"):
        sample_support(torch.full((2, 9), torch.nan))
    with pytest.raises(UserError, match="300 samples"):
        sample_support(torch.zeros(2, 9), 300)


def test_top_k_keeps_true_probabilities_and_their_rest() -> None:
    logp, ids = torch.randn(50, 400).log_softmax(-1).topk(20)
    _, kept, tail = top_support(ids, logp)
    assert torch.equal(kept, logp)
    torch.testing.assert_close(tail.exp() + logp.exp().sum(-1), torch.ones(50))
    sure = torch.tensor([[0.0, -20.0]])
    assert top_support(torch.tensor([[1, 2]]), sure)[2].exp().item() == pytest.approx(1e-7)
    with pytest.raises(UserError, match="add up to 2"):
        top_support(torch.tensor([[1, 2]]), torch.zeros(1, 2))
