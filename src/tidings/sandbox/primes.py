"""An RSA key that is the same on every machine, made from a name: for what insists on RSA. Never for a secret."""

import hashlib
from functools import cache
from itertools import count
from math import gcd

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_EXPONENT = 65537
_BITS = 1024
_SMALL = [n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]
_ROUNDS = 8  # of a candidate at random, one passes that is no prime, in far less than 2**100


@cache
def rsa_key(of: str) -> rsa.RSAPrivateKey:
    """2,048 bits. Takes about a second the first time."""
    p, q = _prime(f"{of} p"), _prime(f"{of} q")
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    d = rsa.rsa_recover_private_exponent(_EXPONENT, p, q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return numbers.private_key()


def rsa_pem(of: str) -> str:
    """As PKCS #8, without a password."""
    pem = rsa_key(of).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def _prime(of: str) -> int:
    return next(n for number in count() if _is_prime(n := _candidate(f"{of} {number}")))


def _candidate(of: str) -> int:
    """Odd, and with both highest bits set, so that the product of two has all its bits."""
    digest = hashlib.shake_256(of.encode()).digest(_BITS // 8)
    return int.from_bytes(digest) | 3 << (_BITS - 2) | 1


def _is_prime(n: int) -> bool:
    """Miller and Rabin's test."""
    if any(n % small == 0 for small in _SMALL) or gcd(n - 1, _EXPONENT) != 1:
        return False
    twos = ((n - 1) & (1 - n)).bit_length() - 1
    odd = (n - 1) >> twos
    return all(_passes(n, base, odd, twos) for base in _SMALL[:_ROUNDS])


def _passes(n: int, base: int, odd: int, twos: int) -> bool:
    power = pow(base, odd, n)
    if power in (1, n - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % n
        if power == n - 1:
            return True
    return False
