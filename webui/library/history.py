"""Every finished picture and the plan it was drawn from; each person sees their own."""

import io
import json
import secrets
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image
from pydantic import TypeAdapter

from webui.library.database import prepare, reading, writing
from webui.library.saving import replace_file
from webui.modules.errors import UnknownPictureError
from webui.modules.types import GenerationPlan

THUMBNAIL_SIDE: Final = 256
"""Longest side of a thumbnail in pixels."""

_SHORTEST_INDEXED: Final = 3
"""The index holds groups of three letters; shorter words are looked for letter by letter."""

_MAX_LIMIT: Final = 500

_VERSIONS: Final = (
    """
    CREATE TABLE pictures (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        job_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        path TEXT NOT NULL,
        listed INTEGER NOT NULL,
        seed INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        infotext TEXT NOT NULL,
        plan TEXT NOT NULL,
        created REAL NOT NULL
    );
    CREATE INDEX pictures_by_owner ON pictures (owner, listed, number);
    CREATE INDEX pictures_by_job ON pictures (job_id, position);
    CREATE VIRTUAL TABLE pictures_text USING fts5 (infotext, tokenize = 'trigram');
    """,
    """
    ALTER TABLE pictures ADD COLUMN figures TEXT NOT NULL DEFAULT '';
    """,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureView:
    """A finished picture as its owner sees it.

    Attributes:
        id: 128 random bits as hex.
        owner: Login name; "local" on loopback without logins.
        job_id: The job that drew it.
        index: Which picture of the job, from 0; a grid of all comes last.
        path: The file.
        seed: Of its noise.
        infotext: Its settings as text.
        width: Pixels.
        height: Pixels.
        created: Unix time in seconds.
        thumbnail: Where its thumbnail is or will be; ``History.thumbnail`` makes sure it is there.
        listed: Whether the history shows it; a picture that nobody asked to save is not.
    """

    id: str
    owner: str
    job_id: str
    index: int = 0
    path: Path
    seed: int
    infotext: str
    width: int
    height: int
    created: float
    thumbnail: Path
    listed: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class NewPicture:
    """A picture whose file is safely there and that goes into the history now.

    Attributes:
        path: The file.
        plan: What was drawn.
        index: Which picture of the plan, from 0.
        infotext: Its settings as text.
        owner: Who asked for it.
        job_id: The job that drew it.
        width: Pixels.
        height: Pixels.
        position: Which picture of the job, from 0.
        listed: Whether the history shows it.
        figures: Numbers that were found in the pictures it shows, as JSON; empty for none.
    """

    path: Path
    plan: GenerationPlan
    index: int
    infotext: str
    owner: str
    job_id: str
    width: int
    height: int
    position: int
    listed: bool = True
    figures: str = ""


class History:
    """The table of finished pictures.

    Args:
        database: The SQLite file.
        data_dir: Paths below it are kept relative, so that the folder can be moved.
        thumbnails: Folder for thumbnails; it can be deleted at any time.
    """

    def __init__(self, database: Path, *, data_dir: Path, thumbnails: Path) -> None:
        self._database = database
        self._data_dir = data_dir.absolute()
        self._thumbnails = thumbnails
        prepare(database, table="pictures", versions=_VERSIONS)

    def add(self, picture: NewPicture) -> PictureView:
        """Write a picture into the history.

        Raises:
            StorageError: If the database cannot be written to.
        """
        picture_id = secrets.token_hex(16)
        plan = json.dumps(TypeAdapter(GenerationPlan).dump_python(picture.plan, mode="json"))
        values = (
            picture_id,
            picture.owner,
            picture.job_id,
            picture.position,
            self._stored(picture.path),
            picture.listed,
            picture.plan.seeds[picture.index],
            picture.width,
            picture.height,
            picture.infotext,
            plan,
            time.time(),
            picture.figures,
        )
        with writing(self._database) as connection:
            number = connection.execute(
                "INSERT INTO pictures (id, owner, job_id, position, path, listed, seed, width,"
                " height, infotext, plan, created, figures)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            ).lastrowid
            connection.execute(
                "INSERT INTO pictures_text (rowid, infotext) VALUES (?, ?)",
                (number, picture.infotext),
            )
        return self.get(picture_id, owner=picture.owner)

    def get(self, picture_id: str, *, owner: str) -> PictureView:
        """Return one picture.

        Raises:
            UnknownPictureError: If there is none of this id, or it is somebody else's.
        """
        return self._view(self._row(picture_id, owner))

    def plan(self, picture_id: str, *, owner: str) -> GenerationPlan:
        """Return the plan that a picture was drawn from.

        Raises:
            UnknownPictureError: If there is none of this id, or it is somebody else's.
        """
        return TypeAdapter(GenerationPlan).validate_json(self._row(picture_id, owner)["plan"])

    def figures(self, picture_id: str, *, owner: str) -> str:
        """Return the numbers that are kept with a picture, as JSON; empty if there are none.

        Raises:
            UnknownPictureError: If there is none of this id, or it is somebody else's.
        """
        return self._row(picture_id, owner)["figures"]

    def of_job(self, job_id: str, *, owner: str) -> list[PictureView]:
        """Return the pictures of a job, saved or not, in drawing order."""
        with reading(self._database) as connection:
            rows = connection.execute(
                "SELECT * FROM pictures WHERE job_id = ? AND owner = ? ORDER BY position, number",
                (job_id, owner),
            ).fetchall()
        return [self._view(row) for row in rows]

    def search(
        self, *, owner: str, text: str = "", before: str = "", limit: int = 50
    ) -> list[PictureView]:
        """Return listed pictures, newest first, whose infotext holds all words.

        Args:
            owner: Whose pictures.
            text: Words in any order and any case; parts of words count, in any script.
            before: Id of the last picture seen; the result goes on after it.
            limit: At most so many, 1 to 500.
        """
        source, condition, values = "pictures", "owner = ? AND listed = 1", [owner]
        if before:
            condition += " AND number < (SELECT number FROM pictures WHERE id = ? AND owner = ?)"
            values += [before, owner]
        words = text.split()
        if indexed := [word for word in words if len(word) >= _SHORTEST_INDEXED]:
            # The index is walked from its newest entry on and left as soon as a page is full.
            source = "pictures_text CROSS JOIN pictures ON number = pictures_text.rowid"
            condition += " AND pictures_text MATCH ?"
            values.append(" ".join(_phrase(word) for word in indexed))
        for word in words:
            if word not in indexed:
                condition += r" AND pictures.infotext LIKE ? ESCAPE '\'"
                values.append(f"%{_like(word)}%")
        order = "pictures_text.rowid" if indexed else "number"
        query = (
            f"SELECT pictures.* FROM {source} WHERE {condition}"  # noqa: S608 - fixed text only
            f" ORDER BY {order} DESC LIMIT ?"
        )
        with reading(self._database) as connection:
            rows = connection.execute(query, (*values, max(1, min(limit, _MAX_LIMIT)))).fetchall()
        return [self._view(row) for row in rows]

    def thumbnail(self, picture_id: str, *, owner: str) -> Path:
        """Return the file of a thumbnail, a WebP of at most 256 pixels a side.

        Raises:
            UnknownPictureError: If there is no such picture, or its file is gone.
            StorageError: If the thumbnail cannot be written.
        """
        view = self.get(picture_id, owner=owner)
        if not view.thumbnail.is_file():
            replace_file(view.thumbnail, _shrunk(view))
        return view.thumbnail

    def drop_unlisted(self, *, before: float) -> int:
        """Forget pictures that nobody asked to save and delete their files; returns how many.

        Args:
            before: Only pictures finished earlier than this Unix time in seconds.
        """
        with writing(self._database) as connection:
            rows = connection.execute(
                "DELETE FROM pictures WHERE listed = 0 AND created < ? RETURNING *", (before,)
            ).fetchall()
            connection.executemany(
                "DELETE FROM pictures_text WHERE rowid = ?", [(row["number"],) for row in rows]
            )
        for row in rows:
            view = self._view(row)
            view.path.unlink(missing_ok=True)
            view.thumbnail.unlink(missing_ok=True)
        return len(rows)

    def _row(self, picture_id: str, owner: str) -> sqlite3.Row:
        with reading(self._database) as connection:
            row = connection.execute(
                "SELECT * FROM pictures WHERE id = ? AND owner = ?", (picture_id, owner)
            ).fetchone()
        if row is None:
            message = f"there is no picture {picture_id[:64]!r}"
            hint = "Look for it in the history."
            raise UnknownPictureError(message, hint=hint, value=picture_id[:64])
        return row

    def _view(self, row: sqlite3.Row) -> PictureView:
        return PictureView(
            id=row["id"],
            owner=row["owner"],
            job_id=row["job_id"],
            index=row["position"],
            path=self._data_dir / row["path"],
            seed=row["seed"],
            infotext=row["infotext"],
            width=row["width"],
            height=row["height"],
            created=row["created"],
            thumbnail=self._thumbnails / row["id"][:2] / f"{row['id']}.webp",
            listed=bool(row["listed"]),
        )

    def _stored(self, path: Path) -> str:
        whole = path.absolute()
        inside = whole.is_relative_to(self._data_dir)
        return str(whole.relative_to(self._data_dir) if inside else whole)


def _phrase(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def _like(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _shrunk(view: PictureView) -> bytes:
    buffer = io.BytesIO()
    try:
        with Image.open(view.path, formats=("PNG", "JPEG", "WEBP", "AVIF")) as image:
            image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            image.convert("RGB").save(buffer, format="WEBP", quality=80)
    except (OSError, ValueError, SyntaxError) as error:
        message = f"the file of picture {view.id} is no longer there: {view.path.name}"
        hint = "It was moved, changed or deleted outside of this program."
        raise UnknownPictureError(message, hint=hint, value=view.id) from error
    return buffer.getvalue()
