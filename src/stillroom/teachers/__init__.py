"""Teachers: what answers questions. A server, a local model, a world's own program, or a ledger.

All of them have `model` (a name) and one verb, `async ask(messages, **params)`; a run keeps every
answer in its ledger. `open_teacher` makes one from a recipe's table [teacher].
"""

from pathlib import Path

from stillroom.errors import UserError
from stillroom.teachers.settings import Settings
from stillroom.world import Teacher


def open_teacher(settings: Settings) -> Teacher:
    """The teacher that a recipe names. Nothing is asked or loaded yet."""
    if settings.ledger and not Path(settings.ledger).is_file():
        raise UserError(
            "there is no such ledger", settings.ledger, "give the ledger.sqlite of a finished run"
        )
    if settings.url:
        from stillroom.teachers.endpoint import Endpoint

        return Endpoint(settings)
    if settings.folder:
        from stillroom.teachers.local import Local

        return Local(settings)
    from stillroom.teachers.recorded import Recorded

    return Recorded(settings)
