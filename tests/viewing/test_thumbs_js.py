"""Small pictures in the browser: two at a time, again while they are made, never twice, within a bound."""

from typing import Any

from tests.viewing.js import run

SCRIPT = """
import { Thumbs } from "./thumbs.js";
const { cases, making, most } = input;
const asked = [], put = [], waited = [];
let busy = 0, atOnce = 0;
const fetcher = async (address) => {
  const key = decodeURIComponent(/case\\/(.*)\\/thumb$/.exec(address)[1]);
  asked.push(key);
  busy += 1;
  atOnce = Math.max(atOnce, busy);
  await Promise.resolve();
  busy -= 1;
  if (key === "gone") return { ok: false, status: 404, json: async () => null };
  const made = asked.filter((one) => one === key).length > (making[key] || 0);
  return { ok: true, status: made ? 200 : 202, blob: async () => key };
};
const thumbs = new Thumbs({ fetcher, most, wait: async (ms) => waited.push(ms) });
const want = () => cases.forEach((key) => thumbs.want(key, (blob) => put.push([key, blob])));
want();
for (let round = 0; round < 300; round++) await Promise.resolve();
const first = asked.length;
want();
for (let round = 0; round < 300; round++) await Promise.resolve();
output({ asked, put, waited, atOnce, again: asked.length - first, held: thumbs.held.size });
"""


def told(*cases: str, most: int = 100, **making: int) -> Any:  # noqa: ANN401 - what the script gives out
    return run(SCRIPT, {"cases": cases, "making": making, "most": most})


def test_each_comes_once_two_at_a_time_and_again_while_it_is_made() -> None:
    found = told("a/b", "c", "slow", "gone", slow=2)
    assert found["atOnce"] == 2
    assert sorted(found["asked"]) == ["a/b", "c", "gone", "slow", "slow", "slow"]
    assert found["waited"] == [700, 1500]
    assert found["again"] == 0, "what is here, or is known to be nowhere, is not asked for again"
    assert sorted(found["put"], key=str) == sorted(
        2 * [["a/b", "a/b"], ["c", "c"], ["slow", "slow"], ["gone", None]], key=str
    )


def test_what_is_never_made_is_given_up_and_what_is_held_is_bounded() -> None:
    never = told("never", never=10**6)
    assert 6 < len(never["waited"]) <= 2 * 24
    many = told(*(f"k{at}" for at in range(9)), most=4)
    assert many["held"] == 4
