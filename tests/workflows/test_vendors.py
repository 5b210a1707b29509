"""The vendor's record: what is taken, what is refused by name, what is not written twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.commit import stream_of
from roadcall_payments.domain.errors import InvalidInput, NotFound
from roadcall_payments.ports import Store
from roadcall_payments.workflows.account_reading import AccountReading
from roadcall_payments.workflows.vendors import Contacts, VendorRecord, Vendors, check_record
from tests.fakes.gateway import FakeGateway
from tests.new_sqlite import open_new_sqlite
from tests.workflows.stories import ADMIN, CONTACTS, Storyteller

RECORD = VendorRecord("acct_1TowTruck", "en-US", CONTACTS)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = open_new_sqlite(tmp_path / "vendors.sqlite")
    yield store
    await store.close()


@pytest.fixture
def stripe() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def vendors(store: Store, stripe: FakeGateway) -> Vendors:
    storyteller = Storyteller(store)
    reading = AccountReading(storyteller.write_path, store, stripe)
    return Vendors(storyteller.write_path, store, storyteller.ids, reading)


async def types(store: Store, vendor_id: str = "ve_tow") -> list[str]:
    return [entry.type for entry in await store.journal(stream_of("vendor", vendor_id))]


async def test_a_record_is_kept_and_read_back(vendors: Vendors) -> None:
    written = await vendors.put(ADMIN, "ve_tow", RECORD)
    assert await vendors.get("ve_tow") == written
    assert (written.stripe_account, written.locale) == ("acct_1TowTruck", "en_US")
    assert await vendors.contacts(written) == CONTACTS


async def test_an_unknown_vendor_is_not_found(vendors: Vendors) -> None:
    with pytest.raises(NotFound):
        await vendors.get("ve_nobody")


async def test_the_same_record_again_writes_nothing(vendors: Vendors, store: Store) -> None:
    first = await vendors.put(ADMIN, "ve_tow", RECORD)
    again = await vendors.put(ADMIN, "ve_tow", replace(RECORD, locale="en_US"))
    assert again == first
    assert await types(store) == ["VendorRegistered", "AccountStatusChanged"]


async def test_a_change_is_a_fact_and_keeps_the_text_it_did_not_touch(
    vendors: Vendors, store: Store
) -> None:
    first = await vendors.put(ADMIN, "ve_tow", RECORD)
    moved = await vendors.put(ADMIN, "ve_tow", replace(RECORD, stripe_account="acct_2"))
    assert (moved.stripe_account, moved.contacts) == ("acct_2", first.contacts)
    called = replace(CONTACTS, phone="+15557654321")
    reachable = await vendors.put(ADMIN, "ve_tow", VendorRecord("acct_2", "en-US", called))
    assert reachable.contacts != first.contacts
    assert await vendors.contacts(reachable) == called
    assert await types(store) == [
        "VendorRegistered",
        "AccountStatusChanged",
        "VendorChanged",
        "BankAccountChanged",
        "AccountStatusChanged",
        "VendorChanged",
    ]


async def test_contacts_stand_beside_the_journal_not_in_it(vendors: Vendors, store: Store) -> None:
    await vendors.put(ADMIN, "ve_tow", RECORD)
    (entry, _) = await store.journal(stream_of("vendor", "ve_tow"))
    for personal in (b"Tow & Go", b"tow@example.com", b"5551234567"):
        assert personal not in entry.data


async def test_a_vendor_may_have_no_account_yet(vendors: Vendors) -> None:
    vendor = await vendors.put(ADMIN, "ve_tow", replace(RECORD, stripe_account=None))
    assert vendor.stripe_account is None


REFUSED = [
    ("vendorId", "", RECORD),
    ("vendorId", "ve/tow", RECORD),
    ("vendorId", "x" * 129, RECORD),
    ("vendorId", "ve\x00", RECORD),
    ("stripeAccountId", "ve_tow", replace(RECORD, stripe_account="1TowTruck")),
    ("stripeAccountId", "ve_tow", replace(RECORD, stripe_account="acct_")),
    ("stripeAccountId", "ve_tow", replace(RECORD, stripe_account="acct_1\n")),
    ("locale", "ve_tow", replace(RECORD, locale="english")),
    ("locale", "ve_tow", replace(RECORD, locale="xx-YY")),
    ("locale", "ve_tow", replace(RECORD, locale="")),
    ("contacts.name", "ve_tow", replace(RECORD, contacts=replace(CONTACTS, name="  "))),
    ("contacts.name", "ve_tow", replace(RECORD, contacts=replace(CONTACTS, name="a\r\nBcc: b"))),
    ("contacts.email", "ve_tow", replace(RECORD, contacts=replace(CONTACTS, email="tow"))),
    (
        "contacts.email",
        "ve_tow",
        replace(RECORD, contacts=replace(CONTACTS, email="a@b.c\r\nX: y")),
    ),
    ("contacts.email", "ve_tow", replace(RECORD, contacts=replace(CONTACTS, email="a@b.c, d@e.f"))),
    ("contacts.phone", "ve_tow", replace(RECORD, contacts=replace(CONTACTS, phone="5551234"))),
    ("contacts.phone", "ve_tow", replace(RECORD, contacts=replace(CONTACTS, phone="+1555CALLME"))),
    ("contacts.pushToken", "ve_tow", replace(RECORD, contacts=replace(CONTACTS, push_token=""))),
]


@pytest.mark.parametrize(("field", "vendor_id", "record"), REFUSED)
async def test_what_cannot_be_is_refused_by_name_and_not_written(
    vendors: Vendors, store: Store, field: str, vendor_id: str, record: VendorRecord
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await vendors.put(ADMIN, vendor_id, record)
    assert refused.value.field == field
    assert await store.streams() == []


def refused_field(record: VendorRecord) -> str | None:
    try:
        check_record("ve_tow", record)
    except InvalidInput as refused:
        return refused.field
    return None


@given(name=st.text(max_size=30), local=st.text(max_size=30), domain=st.text(max_size=30))
def test_what_is_taken_can_stand_in_a_mail_header(name: str, local: str, domain: str) -> None:
    email = f"{local}@{domain}.com"
    record = VendorRecord(None, "en", Contacts(name, email, None, None))
    if refused_field(record) is None:
        assert name.isprintable()
        assert not {"\r", "\n", "\0", " ", ",", "<", ">"} & set(email)


@given(locale=st.text(max_size=12))
def test_any_locale_is_taken_or_refused_by_name(locale: str) -> None:
    assert refused_field(VendorRecord(None, locale, CONTACTS)) in (None, "locale")
