"""The errors of workflows and connectors that are called by a webhook."""

from tidings.providers.chatting import GONE
from tidings.providers.refusals import ACCOUNT, CONTENT, CREDENTIALS, Table, rule

TABLE = Table(
    "https://learn.microsoft.com/en-us/troubleshoot/power-platform/power-automate/flow-run-issues/triggers-troubleshoot",
    (
        rule(
            ACCOUNT, "the workflow is turned off", codes="WorkflowTriggerIsNotEnabled FlowSuspended"
        ),
        rule(
            GONE,
            "the workflow was removed",
            codes="WorkflowNotFound WorkflowTriggerNotFound FlowNotFound",
        ),
        rule(
            CREDENTIALS,
            "the signature in the address is not accepted",
            codes="AuthorizationFailed DirectApiAuthorizationRequired MisMatchingOAuthClaims",
        ),
        rule(CONTENT, "the workflow expects something else", codes="TriggerInputSchemaMismatch"),
        rule(GONE, "there is no such webhook", statuses=(404, 410)),
    ),
)
