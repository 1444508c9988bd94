"""A teacher's answers, each one checked, become a small model: the whole loop by hand.

    python examples/distil_loop.py

The teacher here is the world's own program; a model is asked in the same way, with
`stillroom.Teacher("http://localhost:8000/v1", model="...")`. For batches, a schedule, checkpoints
and a judgement beside baselines there is `stillroom distill`.
"""

from itertools import islice

import stillroom
from stillroom.worlds.lessons.drills import Drills


def main(steps: int = 120) -> None:
    world = Drills(families=("cups",))  # a ball under one of four cups, which change places
    questions = stillroom.Questions(world)
    verify = questions.verify
    student = stillroom.Student.new("tiny", "bytes")
    with stillroom.Teacher(world) as teacher:
        for step, q in enumerate(islice(questions.hard(), steps)):
            answer = teacher.generate(q, reasoning=True)
            if verify(q, answer):  # reasoning included: no step is learnt that does not follow
                loss = student.train_step(input=q, target=answer)
                if step % 20 == 0:
                    print(f"step {step:3}, loss {loss:.3f}")
    print(f"{q.text}\n{student.generate(q, max_tokens=len(answer))}")


if __name__ == "__main__":
    main()
