//! The proof that both ends know the session's secret, without either saying it.
//!
//! Each end sends a fresh nonce and answers with HMAC-SHA256 over both nonces under a sentence of its own, so that
//! neither can be made to produce the other's proof, and no recorded conversation can be played again.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt::{self, Write as _};

/// A secret that is good for one child. It is never printed: `Debug` hides it.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Who makes a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prover {
    /// Our end.
    Engine,
    /// The other.
    Child,
}

/// The two nonces of one connection, in hex, as they were sent.
#[derive(Debug, Clone, Copy)]
pub struct Nonces<'a> {
    /// The child's.
    pub child: &'a str,
    /// Ours.
    pub engine: &'a str,
}

impl Secret {
    /// A new one from the operating system's random source.
    pub fn new() -> Result<Self, getrandom::Error> {
        random().map(Self)
    }

    /// In hex, to be handed to the child and nobody else.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// The proof of one end, in hex.
    pub fn proof(&self, prover: Prover, nonces: Nonces<'_>) -> String {
        hex(&self.mac(prover, nonces).finalize().into_bytes())
    }

    /// Whether this is that end's proof; takes the same time whichever byte is wrong.
    pub fn verify(&self, prover: Prover, nonces: Nonces<'_>, proof: &str) -> bool {
        unhex(proof).is_some_and(|bytes| self.mac(prover, nonces).verify_slice(&bytes).is_ok())
    }

    fn mac(&self, prover: Prover, nonces: Nonces<'_>) -> Hmac<Sha256> {
        let label = match prover {
            Prover::Engine => "childminder engine 1",
            Prover::Child => "childminder child 1",
        };
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..self.0.len()].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&block);
        for part in [label, "\n", nonces.child, "\n", nonces.engine] {
            mac.update(part.as_bytes());
        }
        mac
    }
}

/// A fresh nonce, in hex.
pub fn nonce() -> Result<String, getrandom::Error> {
    random().map(|bytes| hex(&bytes))
}

fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_a_proof_of_its_own_that_fits_only_its_nonces() {
        let secret = Secret::new().unwrap();
        let nonces = Nonces { child: "aa", engine: "bb" };
        let proof = secret.proof(Prover::Child, nonces);
        assert!(secret.verify(Prover::Child, nonces, &proof));
        assert!(!secret.verify(Prover::Engine, nonces, &proof));
        assert!(!secret.verify(Prover::Child, Nonces { child: "aa", engine: "bc" }, &proof));
        assert!(!Secret::new().unwrap().verify(Prover::Child, nonces, &proof));
        for wrong in ["", "zz", "a", "é", &proof[..62]] {
            assert!(!secret.verify(Prover::Child, nonces, wrong), "{wrong:?}");
        }
    }

    #[test]
    fn the_secret_is_not_in_its_debug_output() {
        let secret = Secret::new().unwrap();
        assert!(!format!("{secret:?}").contains(&secret.to_hex()[..8]));
    }
}
