"""Uploading an export to a hub of models: one commit, by huggingface_hub. The caller has asked for consent."""

from __future__ import annotations

from pathlib import Path

import picochat
from picochat.core.errors import refuse
from picochat.core.extras import require_extra
from picochat.core.redact import redact

NEED = "an upload goes through huggingface_hub"
TOKEN_VARIABLE = "HF_TOKEN"


def upload_export(folder: Path, repo: str, message: str, *, token: str | None, endpoint: str | None = None) -> str:
    """Makes the repository, private, where there is none, and puts the folder's files into it. Returns its address.

    Raises `usage.extra` or `export.upload`, whose text never holds the token.
    """
    library = require_extra("huggingface_hub", NEED)
    api = library.HfApi(
        endpoint=endpoint, token=token or False, library_name="picochat", library_version=picochat.__version__
    )
    try:
        created = api.create_repo(repo, repo_type="model", private=True, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=str(folder), repo_type="model", commit_message=message)
    except Exception as err:  # HTTP, file and value errors of several libraries
        text = redact(str(err).splitlines()[0] if str(err) else "")
        safe = text.replace(token, "<token>") if token else text
        refuse("export.upload", f"{repo}: {type(err).__name__}: {safe[:300]}")
    return str(created)
