"""Currencies by their ISO 4217 codes. A leaf of the package: imports `base` only."""

from __future__ import annotations

import difflib
from typing import Annotated

from pydantic import AfterValidator, Field

from .errors import mistake

_LIST_ONE = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY
COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS
INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP
MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR
SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV
WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CODES = frozenset(_LIST_ONE.split())
"""Legal tender of some country: ISO 4217, list one, 2026."""


def _known(code: str) -> str:
    if code not in CODES:
        near = difflib.get_close_matches(code.upper(), sorted(CODES), n=1)
        raise mistake(
            "is no currency of ISO 4217", f"did you mean {near[0]}?" if near else "write three capitals such as GBP"
        )
    return code


Currency = Annotated[str, AfterValidator(_known), Field(pattern="^[A-Z]{3}$")]
"""ISO 4217 code, three capitals: GBP, EUR, USD."""
