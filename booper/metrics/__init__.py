"""`/metrics` for Prometheus, and what goes with it: a dashboard for Grafana and rules for alerts.

`reading` takes the numbers from where they are kept, `families` names them, `exposition` writes
them as text, `endpoint` responds with that.
"""
