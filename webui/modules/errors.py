"""Everything that can go wrong and that we can explain.

::

    WebuiError
    ├── RequestError            the caller asked for something that cannot be done (HTTP 4xx)
    │   ├── SizeError               width or height
    │   ├── RangeError              a number outside its range, or not a number at all
    │   ├── LimitError              a lawful wish that is too large for this server
    │   ├── UnknownNameError        a sampler, schedule, checkpoint, VAE ... that is not there
    │   │   ├── UnknownPictureError     no such picture, or not this person's
    │   │   ├── NoCheckpointError       nothing to draw with yet
    │   │   └── UnknownTrainingError    no such training or set of pictures, or not this person's
    │   ├── NameTakenError          a file or training of this name is there already
    │   ├── UnsupportedError        a wish that this program does not fulfil
    │   ├── NothingToLeaveOutError  a comparison of add-ons without any add-on
    │   ├── PictureError            an uploaded picture that cannot be read
    │   └── InfotextError           a text of settings that cannot be read
    ├── ModelError              a model file
    │   ├── ModelFileError          missing, empty, cut off, not what its name says
    │   ├── UnsafeModelError        a pickle that asks for more than tensors
    │   ├── UnsupportedModelError   a sound file of a kind or family we do not draw with
    │   └── ModelConfigError        the .yaml beside a checkpoint
    ├── DeviceError             the processor or graphics card
    │   ├── DeviceUnavailableError  asked for, not there
    │   ├── OutOfMemoryError        the job does not fit
    │   └── NumericsError           not-a-number came out of a network
    ├── StorageError            disk full, read-only folder, missing folder
    ├── SettingsError           a damaged or contradictory setting
    ├── JobError                the queue
    │   ├── UnknownJobError         no such job, or not this person's
    │   ├── QueueFullError          too many jobs waiting
    │   └── WorkerDiedError         the process that drew was killed
    └── AccessError             the gate
        ├── LoginNeededError        nobody is logged in
        ├── ForbiddenError          logged in, but not allowed; or a foreign Host or Origin
        └── TooManyTriesError       wrong passwords in a row

Errors of other libraries are translated at the edge that calls the library.
"""

import struct
import zlib
from typing import ClassVar, Final

BROKEN_PICTURE: Final = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError,
                         SyntaxError, ArithmeticError, EOFError, MemoryError, struct.error,
                         zlib.error)  # fmt: skip
"""What Pillow's readers raise over damaged files."""


class WebuiError(Exception):
    """A failure we can explain to the person at the screen.

    Attributes:
        code: Stable name for API clients and translations, such as ``model.unsupported``.
        hint: What to do next, in one sentence.
        value: The offending value or file as text, for translated messages; may be empty.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str, value: object = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.value = str(value)


class RequestError(WebuiError):
    """The caller asked for something that cannot be done."""

    code = "request"


class SizeError(RequestError):
    """Width or height is not a positive multiple of 8 pixels."""

    code = "request.size"


class RangeError(RequestError):
    """A number lies outside its range, or is not a number at all."""

    code = "request.range"


class LimitError(RequestError):
    """A lawful wish that is larger than this server allows."""

    code = "request.limit"


class UnknownNameError(RequestError):
    """A sampler, schedule, checkpoint, VAE or option of this name does not exist."""

    code = "request.unknown_name"


class UnknownPictureError(UnknownNameError):
    """There is no such picture, it belongs to somebody else, or its file is gone."""

    code = "request.unknown_picture"


class NoCheckpointError(UnknownNameError):
    """There is no usable checkpoint at all."""

    code = "request.no_checkpoint"


class UnknownTrainingError(UnknownNameError):
    """There is no such training or set of pictures, or it belongs to somebody else."""

    code = "request.unknown_training"


class NameTakenError(RequestError):
    """A file or a training of this name is there already."""

    code = "request.name_taken"


class UnsupportedError(RequestError):
    """A wish that this program does not fulfil, such as a script of another one."""

    code = "request.unsupported"


class NothingToLeaveOutError(RequestError):
    """A picture whose add-ons shall be compared uses none."""

    code = "request.nothing_to_leave_out"


class PictureError(RequestError):
    """An uploaded picture cannot be read."""

    code = "request.picture"


class InfotextError(RequestError):
    """A text of settings cannot be read."""

    code = "request.infotext"


class ModelError(WebuiError):
    """Something is wrong with a model file."""

    code = "model"


class ModelFileError(ModelError):
    """A model file is missing, empty, cut off or not what its name says."""

    code = "model.file"


class UnsafeModelError(ModelError):
    """A pickle asks for more than tensors and plain values."""

    code = "model.unsafe"


class UnsupportedModelError(ModelError):
    """A sound file of a kind or family that this program does not draw with."""

    code = "model.unsupported"


class ModelConfigError(ModelError):
    """The .yaml beside a checkpoint cannot be used."""

    code = "model.config"


class DeviceError(WebuiError):
    """Something is wrong with the processor or graphics card."""

    code = "device"


class DeviceUnavailableError(DeviceError):
    """The device, precision or attention that was asked for is not there."""

    code = "device.unavailable"


class OutOfMemoryError(DeviceError):
    """The job does not fit into memory."""

    code = "device.memory"


class NumericsError(DeviceError):
    """Not-a-number came out of a network."""

    code = "device.numerics"


class StorageError(WebuiError):
    """A file cannot be written or a folder cannot be used."""

    code = "storage"


class SettingsError(WebuiError):
    """A setting is damaged or contradicts another."""

    code = "settings"


class JobError(WebuiError):
    """Something is wrong with the queue."""

    code = "job"


class UnknownJobError(JobError):
    """There is no such job, or it belongs to somebody else."""

    code = "job.unknown"


class QueueFullError(JobError):
    """Too many jobs are waiting."""

    code = "job.queue_full"


class WorkerDiedError(JobError):
    """The process that drew the picture ended in the middle of the job."""

    code = "job.worker_died"


class AccessError(WebuiError):
    """The gate does not let this request through."""

    code = "access"


class LoginNeededError(AccessError):
    """Nobody is logged in."""

    code = "access.login"


class ForbiddenError(AccessError):
    """Not allowed for this person, or a foreign Host or Origin."""

    code = "access.forbidden"


class TooManyTriesError(AccessError):
    """Too many wrong passwords in a row."""

    code = "access.tries"
