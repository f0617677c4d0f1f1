"""Watch a model at work: has what it sees changed, are its answers still borne out, and when is the AI hidden.

policy    what is watched and how sure an alarm must be (schemas/monitor.toml)
scores    a stream of Predictions as one column per watched score; the reference
ranks     each new score as a rank among all before it: uniform while nothing changes, whatever the reference's size
detect    bets against "nothing has changed", summed over when it may have; the false alarms of all are bounded
outcomes  bets against "the answers are borne out", as outcomes arrive
watch     all of it, in time order
rules     which alarm hides what
state     monitor.json, for the dashboard and for screening
words     the state in words
page      what a night operator reads

Nothing here runs a model.
"""
