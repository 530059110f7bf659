from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from app.api.answers import ALWAYS, BODY, documented
from app.deps import ClientAddress, DbSession, get_authenticator, require_form
from app.errors import CredentialsInvalidError, LoginLimitedError
from app.schemas.common import NO_NUL
from app.schemas.user import TokenOut
from app.services.auth import Authenticator
from app.telemetry.request_ids import request_id

router = APIRouter(prefix="/auth", tags=["auth"])


class LoginForm(BaseModel):
    """OAuth 2's password form (RFC 6749, section 4.3.2); `username` is the e-mail address."""

    model_config = ConfigDict(extra="ignore")

    username: str = Field(min_length=1, max_length=254, pattern=NO_NUL, examples=["test@example.com"])
    password: SecretStr = Field(min_length=1, max_length=1000, examples=["demo password"])
    grant_type: str = Field("password", pattern="^password$")


@router.post(
    "/token",
    response_model=TokenOut,
    responses=documented(*ALWAYS, *BODY, CredentialsInvalidError, LoginLimitedError),
    dependencies=[Depends(require_form)],
    summary="Log in",
)
def create_token(
    form: Annotated[LoginForm, Form()],
    response: Response,
    session: DbSession,
    client: ClientAddress,
    authenticator: Annotated[Authenticator, Depends(get_authenticator)],
) -> TokenOut:
    token = authenticator.login(
        session,
        email=form.username,
        password=form.password.get_secret_value(),
        client=client,
        request_id=request_id.get(),
    )
    response.headers["Cache-Control"] = "no-store"
    return TokenOut(access_token=token.text, token_type="bearer", expires_in=int(token.expires_in.total_seconds()))  # noqa: S106
