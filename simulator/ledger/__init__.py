"""The ledger: what every synthetic population cost, and what follows from it without another draw.

Near the ground of the package. A ledger is an `xarray.Dataset` with the dims ``replicate``, ``population_size`` and
``threshold``; `variables` lists what it and every answer of the program hold.
"""

from .derive import Rule as Rule
from .derive import by_unit as by_unit
from .derive import check_draws as check_draws
from .derive import expected_means as expected_means
from .derive import reaching as reaching
from .derive import retained_cost as retained_cost
from .derive import sweep as sweep
from .store import VERBS as VERBS
from .store import assemble as assemble
from .store import check_draws_version as check_draws_version
from .store import check_ledger as check_ledger
from .store import check_same_draws as check_same_draws
from .store import check_tables as check_tables
from .store import check_version as check_version
from .store import draws_of as draws_of
from .store import draws_version as draws_version
from .store import fingerprint as fingerprint
from .store import merge as merge
from .store import open_ledger as open_ledger
from .store import read_dataset as read_dataset
from .store import save as save
from .store import verify as verify
from .store import with_summary as with_summary
from .variables import COORDINATES as COORDINATES
from .variables import DERIVED as DERIVED
from .variables import EXPECTED as EXPECTED
from .variables import VARIABLES as VARIABLES
from .variables import declared as declared
from .variables import describe as describe
from .variables import describe_threshold as describe_threshold
