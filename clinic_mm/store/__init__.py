"""What people do with answers: states, locks, opinions, decisions, signatures, users, and the audit of all of it."""

from clinic_mm.store.refused import ConflictError as ConflictError
from clinic_mm.store.refused import SealedError as SealedError
from clinic_mm.store.store import Store as Store
from clinic_mm.store.store import open_store as open_store
from clinic_mm.store.values import ROLES as ROLES
from clinic_mm.store.values import STATES as STATES
from clinic_mm.store.values import CaseFile as CaseFile
from clinic_mm.store.values import Imported as Imported
from clinic_mm.store.values import Role as Role
from clinic_mm.store.values import State as State
from clinic_mm.store.values import User as User
from clinic_mm.store.values import WorklistPage as WorklistPage
from clinic_mm.store.values import WorklistQuery as WorklistQuery
from clinic_mm.store.values import WorklistRow as WorklistRow
