"""Users as clients write and read them."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, EmailStr, Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from app.models import Locale, UserRole
from app.schemas.common import Input, ListQuery, Output, Page, Stamped, is_storable, unset

UserSort = Literal["created_at", "-created_at", "email", "-email"]
MIN_PASSWORD_CHARACTERS = 10
MAX_PASSWORD_BYTES = 72  # bcrypt reads no further


def _lower(value: str) -> str:
    return value.lower()


def _hashable(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if len(secret) < MIN_PASSWORD_CHARACTERS:
        raise PydanticCustomError(
            "password_too_short", "The password needs {limit} characters or more", {"limit": MIN_PASSWORD_CHARACTERS}
        )
    if not is_storable(secret) or len(secret.encode()) > MAX_PASSWORD_BYTES:
        raise PydanticCustomError(
            "password_too_long",
            "The password may have {limit} bytes at most, and neither NUL nor half a surrogate pair",
            {"limit": MAX_PASSWORD_BYTES},
        )
    return value


Email = Annotated[EmailStr, Field(max_length=254), AfterValidator(_lower)]
Password = Annotated[
    SecretStr,
    # Only for the document: pydantic would count a secret in "items".
    Field(
        json_schema_extra={"minLength": MIN_PASSWORD_CHARACTERS, "maxLength": MAX_PASSWORD_BYTES},
        examples=["correct horse battery"],
    ),
    AfterValidator(_hashable),
]


class UserCreate(Input):
    email: Email = Field(examples=["ada@example.com"])
    password: Password
    role: UserRole = UserRole.VIEWER
    locale: Locale = Locale.EN


class UserReplace(Input):
    """All that an administrator sets; the password stays when it is left out."""

    email: Email = Field(examples=["ada@example.com"])
    role: UserRole
    locale: Locale
    password: Password | None = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ada@example.com", "role": "editor", "locale": "de"}]}
    )


class UserPatch(Input):
    email: Email = Field(default_factory=unset)
    password: Password = Field(default_factory=unset)
    role: UserRole = Field(default_factory=unset)
    locale: Locale = Field(default_factory=unset)

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "editor"}]})


class OwnPatch(Input):
    """What users change of themselves; a new password needs the current one."""

    password: Password = Field(default_factory=unset)
    current_password: SecretStr | None = Field(
        None, validate_default=True, description="Needed with `password`.", examples=["landfall-demo"]
    )
    locale: Locale = Field(default_factory=unset, description="Stored for clients: answers follow Accept-Language.")

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"locale": "de"}], "dependentRequired": {"password": ["current_password"]}}
    )

    @field_validator("current_password")
    @classmethod
    def _comes_with_password(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("password") is not None:
            raise PydanticKnownError("missing")
        return value


class UserOut(Stamped):
    id: uuid.UUID
    email: str
    role: UserRole
    locale: Locale


class UserPage(Page):
    items: list[UserOut]


class UserListQuery(ListQuery):
    role: UserRole | None = None
    sort: UserSort = Field("created_at", description="Order; a leading minus reverses it.")


class TokenOut(Output):
    access_token: str
    token_type: str = Field(examples=["bearer"])
    expires_in: int = Field(description="Seconds.", examples=[3600])
