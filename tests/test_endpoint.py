"""Endpoints: a server that fails in every way, and what comes of it."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from endpoint_server import Server
from worlds import Asked

import stillroom
from stillroom.answer import Answer, Misfit
from stillroom.errors import Stopped, UserError
from stillroom.ledger import Ledger, TaskTeacher
from stillroom.teachers.endpoint import Endpoint, NoAnswer
from stillroom.teachers.probe import probe
from stillroom.teachers.settings import Settings

KEY = "sk-planted-4711-secret"


def endpoint(url: str, **settings: Any) -> Endpoint:
    return Endpoint(Settings.model_validate({"url": url, "model": "m", **settings}))


def ask(
    teacher: Endpoint, folder: Path, prompts: Sequence[str], **params: Any
) -> list[Answer | BaseException]:
    """Answers to the prompts, through a ledger, all at once; or what went wrong with each."""

    async def all_of_them() -> list[Answer | BaseException]:
        ledger = Ledger(folder / "ledger.sqlite")
        try:
            tasks = (
                TaskTeacher(ledger, teacher.model, f"task {i}", teacher).ask(
                    [{"role": "user", "content": prompt}], **params
                )
                for i, prompt in enumerate(prompts)
            )
            return await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            ledger.close()
            await teacher.close()

    return asyncio.run(all_of_them())


def one(teacher: Endpoint, folder: Path, prompt: str = "Say a word.", **params: Any) -> Any:
    (answer,) = ask(teacher, folder, [prompt], **params)
    if isinstance(answer, BaseException):
        raise answer
    return answer


def test_answers_are_paid_for_once(tmp_path: Path) -> None:
    with Server(latency_ms=5) as server:
        teacher = endpoint(server.url, price={"prompt": 1e6, "completion": 2e6})
        first = ask(teacher, tmp_path, [f"Question {i}" for i in range(50)])
        again = ask(endpoint(server.url), tmp_path, [f"Question {i}" for i in range(50)])
        assert server.stats()["by_status"] == {"200": 50}
    assert first == again
    answer = first[0]
    assert isinstance(answer, Answer)
    assert answer.cost == answer.prompt_tokens + 2 * answer.completion_tokens > 0


def test_equal_prompts_of_different_tasks_get_answers_of_their_own(tmp_path: Path) -> None:
    with Server(latency_ms=5) as server:
        run = stillroom.run(
            Asked(same=True),
            count=20,
            out=tmp_path / "run",
            workers=0,
            teacher=endpoint(server.url),
        )
        assert server.stats()["by_status"]["200"] >= 20
    assert run.counts["kept"] >= 20


@pytest.mark.parametrize(
    "fault",
    ["500", "truncated_json", "content_null", "empty_choices", "duplicate_keys", "drop",
     "wrong_schema", "html"],
)  # fmt: skip
def test_a_fault_for_now_costs_an_attempt_and_no_record(tmp_path: Path, fault: str) -> None:
    with Server(latency_ms=1, script=["ok", fault]) as server:
        teacher = endpoint(server.url)
        answers = ask(teacher, tmp_path, ["a"]) + ask(teacher, tmp_path, ["a", "b"])
        stats = server.stats()
    assert [type(a) for a in answers] == [Answer] * 3, answers
    assert stats["by_fault"].get(fault, 0) == 1, stats
    assert stats["requests"] == 3, stats  # two questions, one of them put again


def test_a_fault_for_ever_fails_after_five_attempts(tmp_path: Path) -> None:
    with Server(latency_ms=1, faults={"500": 1.0}) as server:
        with pytest.raises(NoAnswer, match=r"127\.0\.0\.1.*5 attempts.*500"):
            one(endpoint(server.url), tmp_path)
        assert server.stats()["requests"] == 5


def test_being_busy_costs_no_attempt(tmp_path: Path) -> None:
    with Server(latency_ms=1, script=["429"] * 3 + ["503"] * 3, retry_after="none") as server:
        assert one(endpoint(server.url), tmp_path).text
        assert server.stats()["requests"] == 7


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured_in_both_forms(tmp_path: Path, form: str) -> None:
    options = {"latency_ms": 1, "script": ["429"], "retry_after": form, "retry_after_s": 2}
    with Server(**options) as server:
        began = time.monotonic()
        assert one(endpoint(server.url), tmp_path).text
        assert time.monotonic() - began >= (1.9 if form == "seconds" else 0.9)


def test_a_hanging_server_is_left_after_its_time(tmp_path: Path) -> None:
    with Server(latency_ms=1, script=["hang"]) as server:
        began = time.monotonic()
        assert one(endpoint(server.url, answer_seconds=0.5), tmp_path).text
        assert 0.5 <= time.monotonic() - began < 8


def test_a_slow_first_byte_is_waited_for(tmp_path: Path) -> None:
    with Server(latency_ms=1, script=["slow_first_byte"], slow_s=1) as server:
        assert one(endpoint(server.url, connect_seconds=0.5), tmp_path).text
        assert server.stats()["requests"] == 1


def test_an_answer_cut_at_the_limit_says_so(tmp_path: Path) -> None:
    with Server(latency_ms=1, script=["finish_length"]) as server:
        assert one(endpoint(server.url), tmp_path).finish == "length"


SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green"]}, "many": {"type": "integer"}},
    "required": ["colour", "many"],
    "additionalProperties": False,
}


def test_a_schema_is_sent_where_it_is_honoured(tmp_path: Path) -> None:
    with Server(latency_ms=1) as server:
        value = one(endpoint(server.url), tmp_path, schema=SCHEMA).value
    assert value["colour"] in ("red", "green")
    assert isinstance(value["many"], int)


def test_what_does_not_fit_its_schema_is_asked_again_and_kept(tmp_path: Path) -> None:
    with Server(latency_ms=1, ignores=["response_format"]) as server:
        with pytest.raises(Misfit, match="3 answers, and none fits: not JSON"):
            one(endpoint(server.url), tmp_path, schema=SCHEMA)
        server.control(text='```json\n{"colour": "red", "many": 3}\n```', mode="fixed")
        assert one(endpoint(server.url), tmp_path, "b", schema=SCHEMA).value["many"] == 3
        server.control(text='{"colour": "red", "colour": "green", "many": 3}')
        with pytest.raises(Misfit, match="stands there twice"):
            one(endpoint(server.url), tmp_path, "c", schema=SCHEMA)
    ledger = Ledger(tmp_path / "ledger.sqlite", read_only=True)
    assert ledger.costs()[0].answers == 7
    ledger.close()


def test_a_probe_tells_what_a_server_ignores() -> None:
    async def asked(teacher: Endpoint) -> dict[str, bool | None]:
        try:
            return await probe(teacher)
        finally:
            await teacher.close()

    with Server(latency_ms=1) as server:
        assert set(asyncio.run(asked(endpoint(server.url))).values()) == {True}
        for name in ("n", "seed", "logprobs", "response_format", "tools"):
            server.control(ignores=[name])
            found = asyncio.run(asked(endpoint(server.url)))
            assert [key for key, yes in found.items() if not yes] == [name]


def test_logprobs_are_kept(tmp_path: Path) -> None:
    with Server(latency_ms=1) as server:
        answer = one(endpoint(server.url), tmp_path, logprobs=True)
    assert answer.logprobs
    assert all(value <= 0 for _, value in answer.logprobs)


def test_the_completion_api(tmp_path: Path) -> None:
    with Server(latency_ms=1) as server:
        assert one(endpoint(server.url, api="completion"), tmp_path).text


def test_prompts_with_one_beginning_go_together(tmp_path: Path) -> None:
    prompts = [f"{'ABCD'[i % 4] * 40} question {i}" for i in range(120)]
    with Server(latency_ms=5, prefix_chars=40) as server:
        answers = ask(endpoint(server.url, in_flight=8), tmp_path, prompts)
        changes = server.stats()["prefix_changes"]
    assert all(isinstance(answer, Answer) for answer in answers)
    assert changes < 30  # in the order they came it would be 119


def test_in_flight_grows_to_the_limit_and_not_beyond(tmp_path: Path) -> None:
    with Server(latency_ms=30) as server:
        ask(endpoint(server.url, in_flight=32), tmp_path, [f"{i}" for i in range(300)])
        assert server.stats()["peak_in_flight"] == 32


def test_a_rate_in_the_recipe_is_kept(tmp_path: Path) -> None:
    with Server(latency_ms=1) as server:
        teacher = endpoint(server.url, requests_per_minute=600)
        began = time.monotonic()
        answers = ask(teacher, tmp_path, [f"{i}" for i in range(630)])
        taken = time.monotonic() - began
    assert all(isinstance(answer, Answer) for answer in answers)
    assert taken >= 2.9  # a minute's worth at once, then ten a second


@pytest.mark.parametrize("headers", [True, False])
def test_limits_in_headers_are_kept(tmp_path: Path, headers: bool) -> None:
    with Server(latency_ms=20, admit_per_s=60, ratelimit_headers=headers) as server:
        answers = ask(endpoint(server.url), tmp_path, [f"{i}" for i in range(240)])
        refused = server.stats()["by_status"].get("429", 0)
    assert all(isinstance(answer, Answer) for answer in answers)
    assert refused < 60 if headers else refused > 60, refused


def test_a_budget_ends_the_run_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    def run(server: Server, money: float) -> Any:
        table = {"budget.money": money, "price.prompt": 1e5, "in_flight": 8}
        settings = [f"teacher.{key}={value}" for key, value in table.items()]
        return stillroom.run(
            Asked(), count=300, out=tmp_path / "run", workers=0, settings=[
                f'teacher.url="{server.url}"', 'teacher.model="m"', *settings, "power.sample=0"]
        )  # fmt: skip

    with Server(latency_ms=2) as server:
        with pytest.raises(Stopped, match=r"budget is spent: .* of 50 money"):
            run(server, 50)
        ledger = Ledger(tmp_path / "run" / "ledger.sqlite", read_only=True)
        (spent,) = ledger.costs()
        ledger.close()
        dearest, probes = 0.6, 10  # six tokens; the probe's requests are paid for too
        assert 50 - probes <= spent.cost <= 50 + 8 * dearest  # one window over it at most
        assert run(server, 1e9).counts["dataset"] == 300


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no server answers there: (?s:.*)127\.0\.0\.1:9/v1"):
        one(endpoint("http://127.0.0.1:9"), tmp_path)


def test_a_wrong_key_and_no_key_in_the_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    with (
        Server(latency_ms=1, key="another") as server,
        pytest.raises(UserError, match="refuses the key") as found,
    ):
        one(endpoint(server.url, key="TEST_KEY"), tmp_path)
    assert KEY not in str(found.value)
    assert server.url in str(found.value)
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(UserError, match="TEST_KEY is not set"):
        endpoint("http://127.0.0.1:9", key="TEST_KEY")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "another"}, r"is the model's name right \('m'\)"),
        ({"faults": {"html": 1.0}}, "answers with an HTML page"),
        ({"faults": {"quota": 1.0}}, "quota is used up"),
        ({"context": 3}, "over the context of m at http"),
    ],
)
def test_what_no_request_can_mend(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with Server(latency_ms=1, **options) as server:
        with pytest.raises((UserError, NoAnswer), match=words) as found:
            one(endpoint(server.url), tmp_path, "a long prompt " * 20)
        assert server.url in str(found.value)
        assert server.stats()["requests"] == 1


def test_a_prompt_over_the_context_costs_its_own_task_only(tmp_path: Path) -> None:
    with Server(latency_ms=1, context=300) as server:
        answers = ask(endpoint(server.url), tmp_path, ["short", "long " * 2000, "short too"])
    assert [type(answer) for answer in answers] == [Answer, NoAnswer, Answer]
    assert "shorten" in str(answers[1])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"budget": {"money": 0}}, "nothing can be asked for that"),
        ({"key": KEY}, "NAME of an environment variable"),
        ({"api_key": KEY}, "no such key"),
        ({"url": f"http://user:{KEY}@127.0.0.1/v1"}, "would end up in logs"),
        ({"url": "localhost:8000"}, "expected http://HOST:PORT"),
        ({"model": ""}, "say which model"),
    ],
)
def test_mistakes_in_the_table(tmp_path: Path, table: dict[str, Any], words: str) -> None:
    recipe = tmp_path / "r.toml"
    from stillroom.recipe import write_toml

    whole = {"world": {"use": "lessons"}, "teacher": {"url": "http://127.0.0.1:9", "model": "m"}}
    whole["teacher"] |= table
    recipe.write_text(write_toml(whole))
    with pytest.raises(UserError, match=words) as found:
        stillroom.run(recipe, out=tmp_path / "run")
    assert KEY not in str(found.value)
    assert not (tmp_path / "run").exists()


def test_a_ledger_that_comes_with_a_recipe_replays_the_run(tmp_path: Path) -> None:
    with Server(latency_ms=1) as server:
        table = [f'teacher.url="{server.url}"', 'teacher.model="m"']
        live = stillroom.run(Asked(), count=40, out=tmp_path / "live", workers=0, settings=table)
    ledger = tmp_path / "live" / "ledger.sqlite"
    table = [f'teacher.ledger="{ledger}"', 'teacher.model="m"']
    replayed = stillroom.run(Asked(), count=40, out=tmp_path / "offline", workers=2, settings=table)
    assert replayed.root == live.root
    with pytest.raises(UserError, match="holds no answer of m to"):
        stillroom.run(Asked(), count=400, out=tmp_path / "more", workers=0, settings=table)


def test_keys_are_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    table = ['teacher.model="m"', 'teacher.key="TEST_KEY"']
    with Server(latency_ms=1, key=KEY, faults={"500": 0.3, "html": 0.1}) as server:
        url = f'teacher.url="{server.url}"'
        stillroom.run(Asked(), count=60, out=tmp_path / "a", workers=2, settings=[url, *table])
        server.control(faults={}, mode="fixed", text=f"Your key is {KEY}!")  # it repeats it
        run = stillroom.run(Asked(), count=8, out=tmp_path / "c", workers=0, settings=[url, *table])
        assert {record.data["answer"] for record in run.dataset} == {"Your key is [key]!"}
        server.control(key="another")
        with pytest.raises(UserError, match="refuses the key"):
            stillroom.run(Asked(), count=60, out=tmp_path / "b", workers=0, settings=[url, *table])
    from stillroom.view.page import write_page

    write_page(tmp_path / "a", None)
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path
