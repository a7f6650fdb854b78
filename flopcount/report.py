"""The front of the house: `count_flops` and `count_model` give a Report, whose readers are loaded when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from .core.errors import InputError
from .core.memo import anew
from .core.model_spec import ModelSpec
from .core.old_keywords import old_keywords
from .core.ops import TensorSpec
from .core.protocol import Clip, Protocol, Views
from .core.result import Result
from .core.shown_as_tables import ShownAsTables
from .core.wording import sentence
from .count import count, refuse_uncosted
from .counted import Counted
from .models.by_name import with_model
from .tracing import module_of
from .tracing.arguments import Input, settled

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from .analysis.explanation import Explanation
    from .analysis.memory import Memory
    from .analysis.receptive_field import Fields, FieldsByModule
    from .analysis.span import Span
    from .core.table import Table
    from .facts import Device, Price
    from .hardware.cost import Cost
    from .hardware.setting import Setting
    from .symbolic import ClosedForm
    from .tracing.losses import Asked
    from .training.plan import Plan
    from .training.training import Training

__all__ = ["Report", "count_flops", "count_model", "report_of_model"]


@dataclass(frozen=True)
class Report(Result, ShownAsTables):
    """What one forward pass of a module costs, with its reasons; the numbers are those of `Result`.

    `training` is the whole step, where it was counted. Everything else is computed on request: `span`, `memory`,
    `formula`, `receptive_field`. For that a report holds the module and its input, which must be as they were when they
    were counted; `released()` and a pickled report do not have them.
    """

    training: Training | None = None
    closed_form: ClosedForm | None = None
    fields: FieldsByModule | None = None  # shown in tables and in JSON
    counted: Counted | None = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {
            entry.name: getattr(self, entry.name) for entry in fields(self)
        }  # what readers computed is computed again

    def by_module(self, depth: int = 2) -> Table:
        """Modules down to `depth` (-1: all): as text a tree with subtotals, as data rows that sum to the total."""
        from .analysis.cost_tables import by_module

        return by_module(self, depth, self.fields)

    def by_operator(self) -> Table:
        """One row per operator."""
        from .analysis.cost_tables import by_operator

        return by_operator(self, self.fields)

    def by_kind(self) -> Table:
        """One row per kind of operator."""
        from .analysis.cost_tables import by_kind

        return by_kind(self, self.fields)

    def table_by(self, by: str = "module", depth: int = 2) -> Table:
        """The table by module, operator or kind, of the training step if there is one.

        Raises:
            UnknownNameError: no such table.
        """
        from .analysis.cost_tables import table_by

        return table_by(self, by, depth, training=self.training, fields=self.fields)

    def with_dataflow(self) -> Report:
        """The same with the data of every operation followed, as span and memory need it.

        Raises:
            InputError: the module is no longer there, or is not the one that was counted.
        """
        return self if self.dataflow is not None else self._followed

    @cached_property
    def _followed(self) -> Report:
        return self._following(saving=True)

    def _following(self, *, saving: bool) -> Report:
        counted = self._counted_again("the data of every operation")
        how: dict[str, Any] = {"engine": counted.engine, "dataflow": True, "saving": saving, "loss": counted.loss}
        with counted.prepared():
            followed = count(counted.module, counted.input, Protocol(batch=self.input.batch), **how)
        if _calls(followed) != _calls(self):
            self._refuse_another()
        return replace(self, dataflow=followed.dataflow, saving=followed.saving)

    def released(self) -> Report:
        """The same without the module and its input, which can then be freed; numbers and tables stay."""
        return replace(self, counted=None)

    def with_receptive_field(self) -> Report:
        """The same with what each layer sees of the clip, in its tables and in its JSON.

        Raises:
            InputError: no input has height and width, or the module is no longer there.
        """
        return replace(self, fields=self.receptive_field())

    @cached_property
    def span(self) -> Span:
        """How much could run at once."""
        from .analysis.span import span_of

        return span_of(self.with_dataflow())

    @cached_property
    def memory(self) -> Memory:
        """What takes up memory, in inference and in training."""
        from .analysis.memory import memory_of

        return memory_of(self.with_dataflow())

    @cached_property
    def receptive_field(self) -> FieldsByModule:
        """What a unit of each layer sees of the clip: `report.receptive_field()["layer1"]`.

        Raises:
            InputError: no input has height and width, or the module is no longer there.
        """
        from .analysis.receptive_field import FieldsByModule

        return self.fields if self.fields is not None else FieldsByModule(self._find_fields)

    def _find_fields(self) -> Fields:
        from .analysis.receptive_field import receptive_field

        counted = self._counted_again("its receptive field")
        with counted.prepared():
            return receptive_field(counted.module, counted.input)

    def formula(
        self, axes: str | Sequence[str] | None = None, *, layout: str | Sequence[str] | None = None
    ) -> ClosedForm:
        """The cost as a function of the clip: `report.formula("THW")`; arguments and errors as `closed_form`.

        Of a module that was counted in training it is the forward pass in training mode, as are the report's numbers.
        """
        from .symbolic import closed_form

        if axes is None and layout is None and self.closed_form is not None:
            return self.closed_form
        counted = self._counted_again("its closed form")
        with counted.prepared():
            form = closed_form(counted.module, counted.input, axes, layout=layout)
        if any(quantity in form.parts and form.at(quantity) != getattr(self, quantity) for quantity in _OF_FORWARD):
            self._refuse_another()
        return form

    def cost(
        self,
        on: str | Device,
        *,
        dtype: str | None = None,
        compile: bool = False,
        layout: str = "nchw",
        price: float | str | Price | None = None,
        utilisation: float = 1.0,
    ) -> Cost:
        """Time, energy and money on a device, per forward pass of the input as counted; of a training report per step.

        Arguments:
            on: a Device, or its name as in `flopcount devices`, such as "rtx-4090", or "here" after a calibration.
            dtype: fp32, tf32, amp, amp_bf16, bf16, fp16, fp8, int8 or w4a16; by default that of the count.
            compile: whether torch.compile runs it.
            layout: "nchw", or "nhwc" for channels last.
            price: for an hour: a number (US dollars), "2.79EUR" or a Price; by default the package's dated one, if any.
            utilisation: the share of the paid hours in which the device is in use.

        Raises:
            InputError, UnknownNameError: no such device or dtype, or the datasheet lacks what it needs.
        """
        from .hardware.setting import Setting

        return self.cost_under(Setting.named(on, dtype, compile, layout, price=price, utilisation=utilisation))

    def cost_under(self, setting: Setting) -> Cost:
        """As `cost`, on a device and in a way to run on it that were parsed before."""
        if self.training is None:
            return setting.cost(self if self.dataflow is not None else self._flowing)
        from .hardware.step_cost import step_cost

        return step_cost(self.training, self.with_dataflow(), setting)

    @cached_property
    def _flowing(self) -> Report:
        """With the data of the forward pass alone."""
        return self._following(saving=False)

    def explain(self, layer: str) -> Explanation:
        """Every number of a layer with its formula, the numbers put in, and the source of the rule."""
        from .analysis.explanation import explain

        return explain(self, layer)

    def sentence(self) -> str:
        """The line for a paper."""
        return sentence(self)

    def plot(
        self, by: str = "module", ax: Axes | None = None, *, depth: int = 2, dark: bool = False, width: str = "7in"
    ) -> Axes:
        """Bars of the MACs of each module (down to `depth`), operator or kind; a new figure where `ax` is None."""
        from .publishing.figures import breakdown

        return breakdown(self, by, ax, depth=depth, dark=dark, width=width)

    def to_pandas(self, by: str = "module", depth: int = -1) -> pandas.DataFrame:
        """The table as a DataFrame of exact integers, with names as in the JSON: macs, other_flops, bytes_read."""
        from .output.frame import to_frame

        return to_frame(self.table_by(by, depth))

    def to_markdown(self, by: str = "module", depth: int = 2) -> str:
        """The table in GitHub's markdown."""
        return self.table_by(by, depth).to_markdown()

    def to_latex(self, by: str = "module", depth: int = 2) -> str:
        """The table for a paper (booktabs)."""
        return self.table_by(by, depth).to_latex()

    def to_csv(self, by: str = "module", depth: int = -1) -> str:
        """The table in exact integers."""
        return self.table_by(by, depth).to_csv()

    def to_json(self) -> str:
        """The whole report, schema flopcount/1."""
        from .output.report_json import to_json

        return to_json(self, training=self.training, fields=self.fields)

    def _counted_again(self, what: str) -> Counted:
        if self.counted is None:
            why = f"this report of {self.model} no longer has its module", "count it again"
            if self.engine == "code":
                why = "a block of code was counted, not a module", "count the module: count_flops(module, input)"
            raise InputError(f"{what} cannot be computed: {why[0]}", [("fix", why[1])])
        return self.counted

    def _refuse_another(self) -> NoReturn:
        why = f"{self.model} no longer does what was counted"
        raise InputError(why, [("fix", "count it again, in the same mode and under the same autocast")])

    def _tables(self) -> tuple[Table, ...]:
        return (self.table_by(),)

    def _headline(self) -> str:
        return f"{self.model}: {self.sentence()}"


def _calls(result: Result) -> list[tuple[Any, ...]]:
    """What ran, where and on what tensors; numbers among the arguments may be NaN, which equals nothing."""
    ops = [costed.op for costed in result.ops]
    return [(op.module, op.signature.op, op.signature.inputs, op.signature.outputs) for op in ops]


_OF_RESULT = tuple(entry.name for entry in fields(Result))
_OF_FORWARD = ("macs", "other_flops")  # a form must equal these as they were counted


def count_flops(
    module: Callable[..., Any],
    input: Input,
    *,
    views: str | int | tuple[int, int] | Views | None = None,
    stride: int | None = None,
    fps: float | None = None,
    batch: int | None = None,
    strict: bool = False,
    engine: str = "auto",
    fast: bool = True,
    symbolic: str | Sequence[str] | None = None,
    layout: str | Sequence[str] | None = None,
    mode: str = "forward",
    optimizer: str | None = None,
    freeze: str | Sequence[str] = (),
    loss: Asked = None,
    dataflow: bool | None = None,
    receptive_field: bool | None = None,
) -> Report:
    """What one forward pass of `module` on `input` costs; nothing is computed and the module is untouched.

    Arguments:
        module: any nn.Module, on any device, the meta device included; or anything else that is called with the input:
            a method of a module (`model.encode_image`), a function or lambda that uses modules, a functools.partial.
        input: a tensor; a shape with batch such as (1, 3, 16, 112, 112); a TensorSpec(shape, dtype); a tuple of
            arguments; a list where the model takes one; any mapping of keyword arguments. Shapes may stand for
            tensors. Beside a tensor, whole numbers are a shape only if the module raises on them as numbers;
            `literal((8, 14, 14))` stays numbers anywhere. All other values are passed as they are.
        views: the testing protocol, "10x3" or (10, 3) for 10 clips of 3 crops, 10 for 10 clips.
        stride: every how many frames the clip was sampled; 1 unless the model says otherwise.
        fps: frames per second of the video; adds the time that the clip spans, and the cost of a second of video.
        batch: samples in the input, where that is not the first size that all its tensors share.
        strict: raise where an operator has no rule instead of listing it.
        engine: "auto", "meta", "fake" or "real".
        fast: reuse what earlier calls worked out, and compute shapes by our own functions where possible; otherwise
            torch's meta kernels answer every call, and the result is the same.
        mode: "forward", or "train" to count a training step too: loss, backward and optimizer, in `report.training`.
            A module in eval mode is put into training mode for that, and is as before afterwards.
        optimizer: "sgd" (momentum 0.9), "adam" or "adamw", whose step is then counted; with mode="train".
        freeze: globs of parameters or layers to freeze, such as "cnn.*", besides those without `requires_grad`.
        loss: what is differentiated: a function of the output that returns a scalar, or the path of an output such as
            "heads.verb", whose elements are summed; with mode="train". By default a scalar that the module returns
            (the one named "loss", or else the first one), otherwise the sum of all its outputs.
        symbolic: deprecated; `report.formula("THW")`.
        layout: deprecated; `report.formula("THW", layout=...)`.
        dataflow: deprecated; `report.span` and `report.memory` follow the data themselves.
        receptive_field: deprecated; `report.receptive_field()`, and `report.with_receptive_field()` for its tables.

    Raises:
        InputError: the input is none of the above, or the module raises on it (ForwardError, with the layer).
        UncostedError: `strict`, and an operator without a rule.
        TraceError: the module needs weights or values that it was not given.
    """
    readers = old_keywords(symbolic=symbolic, layout=layout, dataflow=dataflow, receptive_field=receptive_field)
    protocol = Protocol(Views.parse(views), stride, fps, batch)
    return _report(module, input, protocol, strict, engine, fast, (mode, optimizer, freeze, loss), readers)


def count_model(
    name: str,
    *,
    clip: str | tuple[int, ...] | Clip | None = None,
    batch: int | None = None,
    num_classes: int | None = None,
    options: dict[str, Any] | None = None,
    inputs: Sequence[tuple[str, TensorSpec]] = (),
    dtype: str | None = None,
    video: str | tuple[int, ...] | Clip | None = None,
    views: str | int | tuple[int, int] | Views | None = None,
    stride: int | None = None,
    fps: float | None = None,
    strict: bool = False,
    mode: str = "forward",
    optimizer: str | None = None,
    freeze: str | Sequence[str] = (),
    loss: Asked = None,
    dataflow: bool | None = None,
    receptive_field: bool | None = None,
    max_params: int | None = None,
) -> Report:
    """Count a model by name, built without weights where it runs without: what `flopcount model` calls.

    Arguments:
        name: as on the command line: "c3d", "file.py:callable", "timm:resnet50", "wan2.1-t2v-1.3b/denoiser".
        clip: T×H×W; the zoo's own by default. The input is (batch, 3, T, H, W).
        batch: clips in one pass, 1 by default; of `inputs`, the samples that they hold.
        num_classes: for the model's builder.
        options: further arguments for the model's builder.
        inputs: (name, spec) pairs instead of a clip; an empty name is positional.
        dtype: of the model and its floating-point inputs, such as "bfloat16".
        video: instead of a clip, for a generator: frames, height and width in pixels, of which it makes latents.
        views: as count_flops.
        stride: as count_flops.
        fps: as count_flops.
        strict: as count_flops.
        mode: as count_flops.
        optimizer: as count_flops.
        freeze: as count_flops.
        loss: as count_flops.
        dataflow: deprecated, as count_flops.
        receptive_field: deprecated, as count_flops.
        max_params: parameters beyond which a model that cannot run without its weights is not built with them.

    Raises:
        FlopcountError: as `find_model` and `count_flops`.
    """
    readers = old_keywords(dataflow=dataflow, receptive_field=receptive_field)
    built: dict[str, Any] = {"clip": clip, "num_classes": num_classes, "dtype": dtype, "video": video}
    return report_of_model(
        ModelSpec.of(name, options=options, inputs=inputs, **built),
        Protocol(Views.parse(views), stride, fps, batch),
        max_params=max_params,
        strict=strict,
        training=(mode, optimizer, freeze, loss),
        readers=readers,
    )


def report_of_model(spec: ModelSpec, protocol: Protocol, *, max_params: int | None = None, **how: Any) -> Report:
    """As `count_model`, of a spec; `how` is what `_report` takes."""
    return with_model(spec, protocol, partial(_report, **how), max_params=max_params)


def _report(
    module: Callable[..., Any],
    input: Input,
    protocol: Protocol,
    strict: bool = False,
    engine: str = "auto",
    fast: bool = True,
    training: tuple[str, str | None, str | Sequence[str], Asked] = ("forward", None, (), None),
    readers: Mapping[str, Any] = MappingProxyType({}),
) -> Report:
    """Count, training if it is asked for, and what the old keywords ask for."""
    plan = _plan(*training)
    with anew(not fast):
        module = module_of(module, input, engine)
    counted = Counted(module, input, engine, fast, plan)
    with counted.prepared():
        counted.input = settled(input, module, engine)  # all that counts it again reads it alike
        dataflow = bool(readers.get("dataflow"))
        result = count(module, counted.input, protocol, engine=engine, dataflow=dataflow, loss=counted.loss)
        report = Report(**{name: getattr(result, name) for name in _OF_RESULT}, counted=counted)
        if plan:
            from .training.training import count_training

            report = replace(report, training=count_training(report.released(), module, counted.input, engine, plan))
    if strict:
        refuse_uncosted(report.training.step.ops if report.training else report.ops)
    if readers.get("symbolic") is not None:
        report = replace(report, closed_form=report.formula(readers["symbolic"], layout=readers.get("layout")))
    return report.with_receptive_field() if readers.get("receptive_field") else report


def _plan(mode: str, optimizer: str | None, freeze: str | Sequence[str], loss: Asked) -> Plan | None:
    """The training that is asked for; where there is none, its code is not loaded."""
    if mode == "forward" and optimizer is None and not freeze and loss is None:
        return None
    from .training.plan import Plan

    return Plan.of(mode, optimizer, freeze, loss)
