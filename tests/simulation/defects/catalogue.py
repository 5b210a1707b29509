"""Every planted defect."""

from __future__ import annotations

from tests.simulation.defects.booking import BOOKING
from tests.simulation.defects.calls import CALLS
from tests.simulation.defects.funding import FUNDING
from tests.simulation.defects.giving_back import GIVING_BACK
from tests.simulation.defects.looks import LOOKS
from tests.simulation.defects.paying_out import PAYING_OUT
from tests.simulation.defects.planted import Planted
from tests.simulation.defects.settling import SETTLING
from tests.simulation.defects.storing import STORING

CATALOGUE: tuple[Planted, ...] = (
    *CALLS,
    *LOOKS,
    *STORING,
    *BOOKING,
    *GIVING_BACK,
    *PAYING_OUT,
    *SETTLING,
    *FUNDING,
)
