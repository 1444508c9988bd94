"""Where cells are drawn, and what is drawn beneath the stones, in widths of a cell."""

from collections.abc import Iterator

from stillroom.worlds.selfplay.game import Game

TALL = 0.8660254  # of a row of hexagons, in widths of one


def extent(game: Game) -> tuple[float, float]:
    """Of the board, in widths of a cell."""
    if game.name != "hex":
        return game.width, game.height
    return game.width + (game.height - 1) / 2, (game.height - 1) * TALL + 1 / TALL


def middle(game: Game, row: float, column: float) -> tuple[float, float]:
    """Of a cell: how far from the left, and from the top."""
    if game.name != "hex":
        return column + 0.5, row + 0.5
    return column + row / 2 + 0.5, row * TALL + 0.5 / TALL


def placing(game: Game, cell: int) -> str:
    """The middle of a cell as CSS variables."""
    x, y = middle(game, *divmod(cell, game.width))
    return f"--x:{x:.4g};--y:{y:.4g}"


def ground(game: Game) -> str:
    """The empty board as SVG shapes, in the colours --field, --line, --hole, --one and --two."""
    shapes = {"go": _lines, "hex": _hexagons, "connect4": _holes}.get(game.name, _squares)
    width, height = extent(game)
    sheet = f'<rect width="{width:.4g}" height="{height:.4g}" rx=".12" fill="var(--field)"/>'
    return f"{'' if game.name == 'hex' else sheet}{''.join(shapes(game))}"


def _lines(game: Game) -> Iterator[str]:
    right, low = game.width - 0.5, game.height - 0.5
    across = "".join(f"M.5 {row + 0.5}H{right}" for row in range(game.height))
    down = "".join(f"M{column + 0.5} .5V{low}" for column in range(game.width))
    yield f'<path d="{across}{down}" fill="none" stroke="var(--line)" stroke-width=".03"/>'


def _squares(game: Game) -> Iterator[str]:
    across = "".join(f"M0 {row}H{game.width}" for row in range(1, game.height))
    down = "".join(f"M{column} 0V{game.height}" for column in range(1, game.width))
    yield f'<path d="{across}{down}" fill="none" stroke="var(--line)" stroke-width=".03"/>'


def _holes(game: Game) -> Iterator[str]:
    for cell in range(game.height * game.width):
        row, column = divmod(cell, game.width)
        yield f'<circle cx="{column + 0.5}" cy="{row + 0.5}" r=".42" fill="var(--hole)"/>'


def _hexagons(game: Game) -> Iterator[str]:
    corner = [(0, -0.5 / TALL), (0.5, -0.25 / TALL), (0.5, 0.25 / TALL)]
    corner += [(-x, -y) for x, y in corner]

    def points(row: int, column: int, some: range) -> str:
        x, y = middle(game, row, column)
        return " ".join(f"{x + corner[n % 6][0]:.3f},{y + corner[n % 6][1]:.3f}" for n in some)

    for row in range(game.height):
        for column in range(game.width):
            yield (
                f'<polygon points="{points(row, column, range(6))}" fill="var(--field)" '
                'stroke="var(--line)" stroke-width=".03"/>'
            )
    end, low = game.width - 1, game.height - 1
    top = [points(0, n, range(5, 8)) for n in range(game.width)]
    foot = [points(low, n, range(4, 1, -1)) for n in range(game.width)]
    left = [points(n, 0, range(5, 2, -1)) for n in range(game.height)]
    right = [points(n, end, range(3)) for n in range(game.height)]
    for colour, edges in (("one", (top, foot)), ("two", (left, right))):
        for edge in edges:
            yield (
                f'<polyline points="{" ".join(edge)}" fill="none" stroke="var(--{colour})" '
                'stroke-width=".12" stroke-linejoin="round" stroke-linecap="round"/>'
            )
