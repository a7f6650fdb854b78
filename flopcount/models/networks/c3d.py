"""C3D (Tran et al. 2015, "Learning Spatiotemporal Features with 3D Convolutional Networks").

Paper: https://arxiv.org/abs/1412.0767 (figure 3). Code followed: https://github.com/facebookarchive/C3D,
sport1m_train_val.prototxt: pool5 is padded there, so fc6 has 8192 inputs at 16×112×112.
"""

from __future__ import annotations

from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .sizing import positions_after

__all__ = ["C3D", "c3d"]

RELEASED_FC6_INPUTS = 8192


class C3D(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, since fc6 sees every position.

    Arguments:
        clip: T×H×W that fc6 is sized for; 16×112×112 in the paper.
        num_classes: 487 (Sports-1M) in the paper.
        pool5_padding: as released, pool5 pads H and W by 1 (4×4 outputs, 8192 inputs of fc6); the lecture's slide
            shows it without padding (3×3 outputs, 4608 inputs).
    """

    def __init__(self, clip: Clip, num_classes: int, *, pool5_padding: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, 3, padding=1)
        self.pool1 = nn.MaxPool3d((1, 2, 2))  # keeps all frames, which are merged late
        self.conv2 = nn.Conv3d(64, 128, 3, padding=1)
        self.pool2 = nn.MaxPool3d(2)
        self.conv3a = nn.Conv3d(128, 256, 3, padding=1)
        self.conv3b = nn.Conv3d(256, 256, 3, padding=1)
        self.pool3 = nn.MaxPool3d(2)
        self.conv4a = nn.Conv3d(256, 512, 3, padding=1)
        self.conv4b = nn.Conv3d(512, 512, 3, padding=1)
        self.pool4 = nn.MaxPool3d(2)
        self.conv5a = nn.Conv3d(512, 512, 3, padding=1)
        self.conv5b = nn.Conv3d(512, 512, 3, padding=1)
        self.pool5 = nn.MaxPool3d(2, padding=(0, 1, 1) if pool5_padding else 0)
        self.fc6 = nn.Linear(512 * self._positions(clip), 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, num_classes)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(0.5)

    def _positions(self, clip: Clip) -> int:
        """T·H·W after pool5; the convolutions keep every size."""
        pools = {name: part for name, part in self.named_children() if isinstance(part, nn.MaxPool3d)}
        return positions_after(pools, clip)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.pool1(self.relu(self.conv1(x)))
        x = self.pool2(self.relu(self.conv2(x)))
        x = self.relu(self.conv3a(x))
        x = self.pool3(self.relu(self.conv3b(x)))
        x = self.relu(self.conv4a(x))
        x = self.pool4(self.relu(self.conv4b(x)))
        x = self.relu(self.conv5a(x))
        x = self.pool5(self.relu(self.conv5b(x)))
        x = x.flatten(1)
        x = self.dropout(self.relu(self.fc6(x)))
        x = self.dropout(self.relu(self.fc7(x)))
        scores: Tensor = self.fc8(x)
        return scores


def c3d(clip: Clip, num_classes: int, *, pool5_padding: bool = True) -> SizedNetwork:
    """C3D sized for `clip`, and its departures from the released network."""
    model = C3D(clip, num_classes, pool5_padding=pool5_padding)
    departures = []
    if model.fc6.in_features != RELEASED_FC6_INPUTS:
        departures.append(f"fc6 sized for {clip}: {model.fc6.in_features} inputs, released with {RELEASED_FC6_INPUTS}")
    if not pool5_padding:
        departures.append("pool5 not padded, as the lecture's slide draws it; released with H and W padded by 1")
    return SizedNetwork(model, tuple(departures))
