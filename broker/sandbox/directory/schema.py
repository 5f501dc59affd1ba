"""The attributes that the sandbox's directory knows: how they are spelt, and how their values compare."""

from enum import Enum, auto


class Syntax(Enum):
    """How values of an attribute compare."""

    TEXT = auto()
    INTEGER = auto()
    DN = auto()
    SID = auto()
    GUID = auto()
    OCTETS = auto()


_ATTRIBUTES = {
    Syntax.TEXT: """
        objectClass cn sn givenName displayName name description ou dc mail sAMAccountName userPrincipalName
        userWorkstations whenCreated dnsHostName currentTime namingContexts supportedCapabilities supportedControl
        supportedExtension supportedLDAPVersion ldapServiceName isSynchronized isGlobalCatalogReady vendorName
        canonicalName
        """,
    Syntax.INTEGER: """
        userAccountControl accountExpires pwdLastSet badPwdCount badPasswordTime lockoutTime primaryGroupID groupType
        sAMAccountType instanceType lockoutThreshold lockoutDuration lockOutObservationWindow maxPwdAge
        domainFunctionality forestFunctionality domainControllerFunctionality msDS-User-Account-Control-Computed
        msDS-UserPasswordExpiryTimeComputed
        """,
    Syntax.DN: """
        distinguishedName member memberOf objectCategory defaultNamingContext rootDomainNamingContext
        configurationNamingContext serverName
        """,
    Syntax.SID: "objectSid tokenGroups",
    Syntax.GUID: "objectGUID",
    Syntax.OCTETS: "logonHours",
}

SPELLING = {name.lower(): name for names in _ATTRIBUTES.values() for name in names.split()}
"""Attribute names as AD spells them, by their lower-case form."""

_SYNTAX = {name.lower(): syntax for syntax, names in _ATTRIBUTES.items() for name in names.split()}

CATEGORIES = {
    "person": "Person",
    "user": "Person",
    "group": "Group",
    "organizationalunit": "Organizational-Unit",
    "container": "Container",
    "domaindns": "Domain-DNS",
}
"""AD lets a filter name a class where objectCategory holds the DN of its category: `(objectCategory=person)`."""


def syntax_of(attribute: str) -> Syntax:
    """How values of `attribute` (lower case) compare; text where it is not known."""
    return _SYNTAX.get(attribute, Syntax.TEXT)
