"""What to tell a user when the Hub refuses or cannot be reached."""

from __future__ import annotations

from portvec._artifact import format as fmt
from portvec._hub.ids import HubId
from portvec._messages import fold_lines
from portvec.errors import HubError


def explain(error: Exception, hub_id: HubId) -> HubError:
    """Return a HubError that says in one line why a download failed and what to do."""
    from huggingface_hub import constants, errors

    if isinstance(error, HubError):
        return error
    if isinstance(error, errors.GatedRepoError):
        reason = f"access to {hub_id.repo_id} is restricted; request it on the Hub, then pass token=..."
    elif isinstance(error, errors.RepositoryNotFoundError):
        reason = "no such repository, or it is private; check the name, or pass token=..."
    elif isinstance(error, errors.RevisionNotFoundError):
        reason = f"the repository has no revision {hub_id.revision!r}; check the branch, tag or commit"
    elif isinstance(error, errors.HFValidationError):
        reason = "not a valid Hub id; expected owner/name"
    elif constants.HF_HUB_OFFLINE:
        reason = (
            "not in the cache, and HF_HUB_OFFLINE is set; unset it once to download the model, "
            "or copy an exported artifact folder to this machine"
        )
    else:
        detail = fold_lines(error) or "no detail"
        reason = (
            f"cannot be fetched from {constants.ENDPOINT} ({type(error).__name__}: {detail}); check the "
            "network and try again, or copy an exported artifact folder to this machine"
        )
    return HubError(f"{hub_id}: {reason}")


def explain_push(error: Exception, hub_id: HubId) -> HubError:
    """Return a HubError that says in one line why a push failed and what to do."""
    from huggingface_hub import constants, errors

    detail = fold_lines(error) or "no detail"
    status = _status(error)
    if isinstance(error, errors.HFValidationError):
        reason = "not a valid Hub id; expected owner/name"
    elif status == 401 or isinstance(error, errors.RepositoryNotFoundError):
        reason = (
            f"{constants.ENDPOINT} does not accept the token, or hides the repository from it; run "
            "'hf auth login' again, or pass another token=..."
        )
    elif status == 403:
        reason = (
            f"the token may not write to {hub_id.repo_id}; use one with write access to "
            f"{hub_id.repo_id.split('/')[0]}, or choose another name"
        )
    elif status in (409, 412):
        reason = "another commit arrived meanwhile, and nothing was changed; push again"
    elif isinstance(error, ValueError) and fmt.CARD in detail:
        reason = f"the Hub refuses the front matter of {fmt.CARD} ({detail}); correct it"
    elif status is not None:
        reason = f"{constants.ENDPOINT} refuses the upload ({detail}); nothing was changed"
    else:
        reason = (
            f"cannot be pushed to {constants.ENDPOINT} ({type(error).__name__}: {detail}); check the network "
            "and push again"
        )
    return HubError(f"{hub_id}: {reason}")


def _status(error: BaseException | None) -> int | None:
    """Return the HTTP status behind an error; huggingface_hub wraps the errors of uploads."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None
