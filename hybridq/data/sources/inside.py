"""Follow links that stay inside a folder of images, and refuse links that leave it.

So only files that lie in the folder are read, whoever has laid it out.
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
            path: Path of a file or folder, by its name within the folder.
            where: The place that names it, as in " (line 3 of manifest.csv)".

        Raises:
            InvalidValueError: If it lies outside.
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
        """Refuse an image that is missing, is not a regular file, or lies outside.

        Args:
            path: Path of the image, by its name within the folder.
            where: The place that names it, as in `check`.

        Raises:
            MissingFileError: If it is not there, or is a folder, a pipe or a device.
            InvalidValueError: If it lies outside.
        """
        self.check(path, where)
        check_regular(path, f"an image{where}", "restore it, or remove it where it is named.")

    def _holds(self, path: str | Path) -> bool:
        real = os.path.realpath(path)
        return real == self._real or real.startswith(self._real.rstrip(os.sep) + os.sep)
