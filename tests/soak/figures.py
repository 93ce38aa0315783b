"""All figures, the cheap ones first: what they leave of their share goes to the others."""

from collections.abc import Mapping

from tests.soak.faults import G3
from tests.soak.figure import Figure
from tests.soak.hostile import G22
from tests.soak.keys import G6, G15
from tests.soak.kills import G1, G2, G10
from tests.soak.links import G20
from tests.soak.listings import G7, G8, G13
from tests.soak.machine import G9, G17, G18, G19
from tests.soak.output import G14
from tests.soak.power import G21
from tests.soak.sequences import G16
from tests.soak.versions import G4, G5
from tests.soak.waits import G11, G12

FIGURES: Mapping[str, Figure] = {
    figure.name: figure
    for figure in (
        G20,
        G7,
        G9,
        G12,
        G13,
        G17,
        G6,
        G15,
        G2,
        G19,
        G18,
        G21,
        G22,
        G5,
        G10,
        G4,
        G11,
        G8,
        G14,
        G16,
        G3,
        G1,
    )
}
