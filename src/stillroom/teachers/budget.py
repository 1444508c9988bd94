"""What asking may cost: nothing is sent any more once it is spent."""

from stillroom.errors import Stopped
from stillroom.teachers.settings import Price, Spend


class Budget:
    """Counts money and tokens. What is on the way when the end comes is still paid for and kept."""

    def __init__(self, spend: Spend, price: Price | None) -> None:
        self.spend, self.price = spend, price
        self.money, self.tokens = 0.0, 0

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Money for so many tokens; 0 when the recipe names no price."""
        if self.price is None:
            return 0.0
        prompt, completion = self.price.prompt, self.price.completion
        return (prompt_tokens * prompt + completion_tokens * completion) / 1e6

    def paid(self, tokens: int, money: float) -> None:
        self.tokens += tokens
        self.money += money

    def check(self) -> None:
        """Stopped, with the numbers, when there is nothing left."""
        for name, spent, most in (
            ("money", self.money, self.spend.money),
            ("tokens", self.tokens, self.spend.tokens),
        ):
            if most is not None and spent >= most:
                raise Stopped(
                    f"the budget is spent: {spent:.10g} of {most:.10g} {name}",
                    f"teacher.budget.{name} in the recipe",
                    "every answer is kept; raise the budget and run again: it goes on from here",
                )
