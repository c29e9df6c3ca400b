//! What commands have in common: a remote, with all that is known of how to get in.

use crate::authorization::{Authorization, Connection, Remote, Settings};
use crate::cli::{CredentialArgs, NetworkArgs, RemoteArgs};
use crate::config::{self, Asking, Reaching};
use crate::secret::Redactor;
use crate::vault::Vault;
use std::sync::Arc;
use std::time::Duration;

/// What it takes.
pub(super) struct Opening<'a> {
    pub(super) vault: Vault,
    pub(super) remote: Remote,
    pub(super) args: &'a RemoteArgs,
    pub(super) network: &'a NetworkArgs,
    /// None for commands without such flags.
    pub(super) credential: Option<&'a CredentialArgs>,
    pub(super) asking: Asking,
    pub(super) redactor: Arc<Redactor>,
    /// How long the keychain may take.
    pub(super) deadline: Duration,
    pub(super) reaching: Reaching,
    /// What goes along is for the record.
    pub(super) teaches: bool,
}

impl Opening<'_> {
    /// Touches neither keychain nor network.
    pub(super) fn open(self) -> (Authorization, Arc<Connection>) {
        let Asking { plan, along, headers } = self.asking;
        let taught = (self.teaches && !along.is_empty()).then(|| along.clone());
        let connection = config::connection(
            &self.vault,
            &self.remote,
            along,
            headers,
            &self.redactor,
            self.deadline,
        );
        let mut sign_in = config::sign_in(
            &connection,
            self.args,
            self.network,
            self.credential,
            &plan,
            self.reaching,
        );
        sign_in.along = taught;
        let authorization = Authorization::new(Settings {
            vault: self.vault,
            remote: self.remote,
            plan,
            connection: connection.clone(),
            redactor: self.redactor,
            deadline: self.deadline,
            sign_in,
        });
        (authorization, connection)
    }
}
