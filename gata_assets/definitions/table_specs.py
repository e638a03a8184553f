"""Tables that users declare: the pandera models of the modules that TABLE_SPECS names."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from pandera.api.dataframe.model import DataFrameModel

from gata_assets.errors import SettingsError

_EXAMPLE = "Example: TABLE_SPECS=mycompany.tables"


def load_table_specs(modules: Sequence[str] | None) -> list[type[DataFrameModel]]:  # type: ignore[type-arg]
    """Import the modules and return their pandera models, in the order of their declaration.

    A model counts where it is declared or imported by the module, unless its name begins with an underscore.
    Raises SettingsError for a module that cannot be imported, and for one without a model.
    """
    models: dict[type[DataFrameModel], None] = {}  # type: ignore[type-arg]
    for name in modules or ():
        try:
            module = import_module(name)
        except Exception as error:
            # Whatever the module raises; its class is named, since its words may hold anything.
            reason = str(error) if isinstance(error, ImportError) else type(error).__name__
            raise SettingsError(
                f"TABLE_SPECS: the module {name} cannot be imported: {reason}. It must be importable where the "
                f"command and Dagster's code server run (installed, or on PYTHONPATH). {_EXAMPLE}"
            ) from error
        found = [value for key, value in vars(module).items() if not key.startswith("_") and _is_model(value)]
        if not found:
            raise SettingsError(f"TABLE_SPECS: the module {name} has no pandera model (DataFrameModel). {_EXAMPLE}")
        models.update(dict.fromkeys(found))
    return list(models)


def _is_model(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, DataFrameModel) and not value.__module__.startswith("pandera.")
