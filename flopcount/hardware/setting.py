"""What a cost is asked for: a device, how the network runs on it, what an hour costs; parsed before any counting."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.result import Result
from ..facts.devices import Device
from ..facts.prices import Price
from .conditions import Conditions, way_to_run
from .constants import Basis, Choice, Table, choose, constants_table
from .cost import Cost, cost_on
from .device_price import device_price
from .money import price_of_caller, require_utilisation
from .named_device import device_named
from .precision import counted_dtype

__all__ = ["Setting"]


@dataclass(frozen=True, slots=True)
class Setting(OneLine):
    """A device and a way to run on it, and the price of an hour of it; `dtype` None is that of the count.

    `table` has the constants: the committed ones, or those of a calibration.
    """

    device: Device
    table: Table
    dtype: str | None = None
    compile: bool = False
    layout: str = "nchw"
    price: Price | None = None
    utilisation: float = 1.0

    @classmethod
    def of(
        cls,
        on: str | Device,
        dtype: str | None = None,
        compile: bool = False,
        layout: str = "nchw",
        *,
        price: Price | None = None,
        utilisation: float = 1.0,
    ) -> Setting:
        """Parsed and checked as far as it can be without a count.

        Raises:
            InputError, UnknownNameError: no such device, dtype or layout; the datasheet lacks what the dtype needs; or
                the utilisation is no share.
        """
        require_utilisation(utilisation)
        device, table = (on, constants_table()) if isinstance(on, Device) else device_named(on)
        setting = cls(device.one_torch_device, table, dtype, compile, layout, price, utilisation)
        conditions = setting.conditions()
        if dtype is not None:
            setting.choice(conditions)
            conditions.require_peaks()
        elif compile != any(row.compiled for row in table.sets if row.basis is Basis.CALIBRATED):
            setting.choice(conditions)  # in no dtype of a count
        return setting

    @classmethod
    def named(
        cls,
        on: str | Device,
        dtype: str | None = None,
        compile: bool = False,
        layout: str = "nchw",
        *,
        price: float | str | Price | None = None,
        utilisation: float = 1.0,
    ) -> Setting:
        """As `of`, with a price as a caller gives it; by default the package's own dated price of the device, if any.

        Raises:
            InputError, UnknownNameError: as `of`; or the price is none.
        """
        device = on if isinstance(on, Device) else device_named(on)[0]
        given = device_price(device) if price is None else price
        own = None if given is None else price_of_caller(given)
        return cls.of(on, dtype, compile, layout, price=own, utilisation=utilisation)

    def conditions(self, counted: str = "float32", *, training: bool = False) -> Conditions:
        """The conditions for a count in this dtype."""
        return Conditions.of(self.device, self.dtype, self.compile, self.layout, counted=counted, training=training)

    def cost(self, result: Result) -> Cost:
        """The cost of a forward pass that was counted with its dataflow; errors as `cost_on`."""
        conditions = self.conditions(counted_dtype(result))
        choice = self.choice(conditions)
        return cost_on(result, conditions, price=self.price, utilisation=self.utilisation, choice=choice)

    def choice(self, conditions: Conditions) -> Choice:
        """The constants for these conditions.

        Raises:
            InputError: a calibration was made in another way to run, so nothing is known of this one.
        """
        choice = choose(conditions, self.table)
        calibrated = [row for row in self.table.sets if row.basis is Basis.CALIBRATED]
        if calibrated and choice.basis is not Basis.CALIBRATED:
            row = calibrated[0]
            fix = "run `flopcount calibrate` in the way that you ask for, into another file"
            if conditions.training:
                fix = (
                    "ask for a forward pass, which is all that a calibration is of, or name a device of the data sheets"
                )
            raise InputError(
                f"no time of {conditions}: its calibration is of another way to run",
                [
                    ("seen", f"calibrated in {way_to_run(row.dtype, row.compiled, row.layout)}"),
                    ("fix", fix),
                ],
            )
        return choice

    def _headline(self) -> str:
        return f"{self.device.name}, {way_to_run(self.dtype or 'dtype of the count', self.compile, self.layout)}"
