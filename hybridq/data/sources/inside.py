"""Links within a folder of images: followed where they stay inside it, refused where they leave it.

What is read of a folder is thus what lies in the folder, whoever has laid it out.
"""

from __future__ import annotations

import os
from pathlib import Path

from hybridq.errors import InvalidValueError
from hybridq.utils.files import check_regular


class Inside:
    """A folder, which may be a link itself.

    Args:
        root: The folder.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._real = os.path.realpath(root)
        self._folders: dict[str, bool] = {}

    def check(self, path: str | Path, where: str = "") -> None:
        """Refuse a file or folder that lies outside once its links are resolved.

        Args:
            path: Of a file or folder, by its name within the folder.
            where: The place that names it, as in " (line 3 of manifest.csv)".

        Raises:
            InvalidValueError: If it does.
        """
        folder = os.path.dirname(path)
        if folder not in self._folders:
            self._folders[folder] = self._holds(folder)
        if not self._folders[folder] or (os.path.islink(path) and not self._holds(path)):
            raise InvalidValueError(
                f"Expected what lies in {self.root}, got {path}{where}, whose link leads outside "
                "the folder: move the file into it."
            )

    def check_image(self, path: str | Path, where: str = "") -> None:
        """Refuse an image that is not there, is no regular file, or lies outside.

        Args:
            path: Of the image, by its name within the folder.
            where: As of `check`.

        Raises:
            MissingFileError: If it is not there, or is a folder, a pipe or a device.
            InvalidValueError: If it lies outside.
        """
        self.check(path, where)
        check_regular(path, f"an image{where}", "restore it, or remove it where it is named.")

    def _holds(self, path: str | Path) -> bool:
        real = os.path.realpath(path)
        return real == self._real or real.startswith(self._real.rstrip(os.sep) + os.sep)
