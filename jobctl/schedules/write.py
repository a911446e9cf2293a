"""A field of cron, from its values to the shortest text that says it."""

from jobctl.schedules.fields import LAST, Field, Values


def write_field(field: Field, values: Values) -> str:
    """A star, a step, a range or a list of numbers; ``L`` and ``#`` behind them."""
    if values.full:
        return "*"
    numbers = list(values.numbers)
    extra = [f"{day}{'L' if nth == LAST else f'#{nth}'}" for day, nth in values.nth]
    if values.last_day:
        extra.append("L")
    if len(numbers) > 2 and not extra:
        step = numbers[1] - numbers[0]
        if numbers == list(range(field.least, field.top + 1, step)):
            return f"*/{step}"
        if numbers == list(range(numbers[0], numbers[-1] + 1)):
            return f"{numbers[0]}-{numbers[-1]}"
    return ",".join([*map(str, numbers), *extra])
