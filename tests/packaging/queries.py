# SPDX-License-Identifier: Apache-2.0
"""The queries of the dashboard and of the alerts, as Prometheus gets them."""

VALUES = {"$instance": ".*", "$scope": ".*", "$__rate_interval": "1m", "$__range": "1h"}


def of_dashboard(board):
    found = []
    for panel in board["panels"]:
        for target in panel["targets"]:
            query = target["expr"]
            for variable, value in VALUES.items():
                query = query.replace(variable, value)
            found.append(query)
    return found


def of_rules(rules):
    return [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
