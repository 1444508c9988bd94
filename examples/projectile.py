"""A ball thrown through air: a simulation whose whole course is kept, so that it can be replayed.

    stillroom run examples/projectile.py --count 200

Shows how to check a simulation without running it again: `make` goes forward by Runge-Kutta;
`check` goes back from every state to the one before, by another method, so that each number is held
by its neighbours. Places and velocities are complex numbers: x + iy.
"""

import cmath
from collections.abc import Iterator
from math import radians

import numpy as np
import pyarrow as pa

from stillroom import Check, Context, Data, Record, Task, Verdict, View, World

STEP = 0.01  # seconds from one state to the next
FLIGHT = {"speed": pa.float64(), "angle": pa.float64(), "drag": pa.float64()}  # m/s, degrees, 1/m
COURSE = ("t", "x", "y", "vx", "vy")  # s, m, m, m/s, m/s
STATE = pa.struct({name: pa.float64() for name in COURSE})


class Projectile(World):
    """From flat ground to flat ground; the air brakes the ball by drag * speed squared."""

    name, schema = "projectile", pa.struct({**FLIGHT, "course": pa.list_(STATE)})
    gravity: float = 9.81  # m/s2
    tolerance: float = 1e-9  # of the check, in the units of the data

    def plan(self, generation: int) -> Iterator[Task]:
        # 31 and 61 are coprime: no pair comes twice.
        return ({"speed": 10 + n % 31, "angle": 15 + n % 61} for n in range(31 * 61))

    def make(self, task: Task, ctx: Context) -> list[Data]:
        flight = {**task, "drag": round(ctx.rng.uniform(0.002, 0.02), 4)}
        return [{**flight, "course": fly(**flight, gravity=self.gravity)}]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        if len(data["course"]) < 2:
            return Verdict((Check("whole", False, "a course has at least two states"),))
        t, x, y, vx, vy = np.array([[state[name] for name in COURSE] for state in data["course"]]).T
        states, due = np.array([x + 1j * y, vx + 1j * vy]), STEP * np.arange(len(t))
        launch = 0, cmath.rect(task["speed"], radians(task["angle"]))
        rough, fine = (back(states, t, data["drag"], self.gravity, pieces) for pieces in (8, 16))
        errors = {
            "as asked": [data[name] - task[name] for name in task],
            "launch": states[:, 0] - launch,
            "clock": [*(t - due)[:-1], t[-1] - np.clip(t[-1], due[-2], due[-1])],
            "energy never rises": np.diff((vx**2 + vy**2) / 2 + self.gravity * y).clip(0),
            "replay": (4 * fine - rough) / 3 - states[:, :-1],  # Richardson: as of endless pieces
            "lands": [y[-1], y.min(), max(0, vy[-1])],  # on the ground, never below, falling
        }
        worst = {rule: float(np.abs(error).max()) for rule, error in errors.items()}
        wrong = {rule: f"off by {e:.1e}" for rule, e in worst.items() if not e <= self.tolerance}
        return Verdict(tuple(Check(r, r not in wrong, wrong.get(r, "")) for r in errors))

    def show(self, record: Record) -> View:
        flight, end = record.data, record.data["course"][-1]
        ask = "A ball starts at {speed} m/s, {angle}° up; air brakes it by {drag} v². How far?"
        ask, answer = ask.format(**flight), f"{end['x']:.2f} m, in {end['t']:.2f} s"
        chat = ({"role": "user", "content": ask}, {"role": "assistant", "content": answer})
        points = " ".join(f"{s['x']:.1f},{-s['y']:.1f}" for s in flight["course"])
        html = f'<svg viewBox="0 -80 160 80"><path d="M{points}" fill="none" stroke="teal"/></svg>'
        tags = {"difficulty": "hard" if flight["speed"] > 25 else "easy"}
        features = {"range": end["x"], "height": max(s["y"] for s in flight["course"])}
        return View(f"{ask} {answer}", chat, html, tags, features)

    def spoil(self, data: Data, rng: np.random.Generator) -> tuple[str, Data]:
        course = [dict(state) for state in data["course"]]
        changes = {"teleport": "x", "energy gain": "vx", "slow clock": "t"}
        kind = str(rng.choice([*changes, "wrong gravity"]))
        if kind == "wrong gravity":
            flight = {name: data[name] for name in FLIGHT}
            return kind, {**data, "course": fly(**flight, gravity=1.01 * self.gravity)}
        for state in course[rng.integers(1, len(course)) :]:
            state[changes[kind]] *= 1.02
        return kind, {**data, "course": course}


def fly(speed: float, angle: float, drag: float, gravity: float) -> list[dict[str, float]]:
    """Forward by the classical Runge-Kutta method; Newton's method finds the landing."""

    def slope(state: np.ndarray) -> np.ndarray:
        return np.array([state[1], -1j * gravity - drag * abs(state[1]) * state[1]])

    def step(state: np.ndarray, h: float) -> np.ndarray:
        b = slope(state + h / 2 * (a := slope(state)))
        d = slope(state + h * (c := slope(state + h / 2 * b)))
        return state + h / 6 * (a + 2 * b + 2 * c + d)

    states, h = [np.array([0, cmath.rect(speed, radians(angle))])], STEP
    while (after := step(states[-1], STEP))[0].imag > 0:
        states.append(after)
    for _ in range(6):
        h -= after[0].imag / after[1].imag
        after = step(states[-1], h)
    rows = [(number * STEP, *state) for number, state in enumerate(states)]
    rows.append((rows[-1][0] + h, after[0].real, after[1]))
    return [dict(zip(COURSE, (t, z.real, z.imag, v.real, v.imag), strict=True)) for t, z, v in rows]


def back(states: np.ndarray, t: np.ndarray, drag: float, gravity: float, pieces: int) -> np.ndarray:
    """Every state but the first, taken back to the time before it by explicit midpoint steps."""
    (place, v), h = states[:, 1:], -np.diff(t) / pieces
    for _ in range(pieces):
        middle = v - h / 2 * (drag * abs(v) * v + 1j * gravity)
        place, v = place + h * middle, v - h * (drag * abs(middle) * middle + 1j * gravity)
    return np.array([place, v])
