//! Where a secret is. The secret itself never stands in the configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a secret is; never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "where the secret is, `{ env = \"NAME\" }` or `{ file = \"PATH\" }`, and never the secret itself"
)]
pub enum SecretRef {
    /// In this variable of the environment.
    Env {
        /// The variable.
        env: String,
    },
    /// In this file.
    File {
        /// The file; a relative path begins at the folder of the configuration.
        file: PathBuf,
    },
}

/// One secret, or two while one takes the other's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "where the secret is, `{ env = \"NAME\" }` or `{ file = \"PATH\" }`, or a list of two; never the secret itself"
)]
pub enum SecretList {
    /// One.
    One(SecretRef),
    /// Several that all hold.
    Several(Vec<SecretRef>),
}

impl SecretList {
    /// All of them.
    pub fn all(&self) -> &[SecretRef] {
        match self {
            SecretList::One(one) => std::slice::from_ref(one),
            SecretList::Several(several) => several,
        }
    }
}
