//! The client and the containers that it works on.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{Secret, TokenCredential};
use azure_data_cosmos::options::{
    AvailabilityStrategy, BinaryEncodingOptions, OperationOptions, ThrottlingRetryOptions, UserAgentSuffix,
};
use azure_data_cosmos::{
    AccountEndpoint, AccountReference, ContainerClient, CosmosClient, CosmosRuntime, DatabaseClient, RoutingStrategy,
};
use futures_util::future::try_join_all;

use super::calls::Told;
use super::documents::CosmosStore;
use crate::clock::Clock;
use crate::store::{Collection, Error};

/// How long the first look at an account and its containers may take.
const OPENING: Duration = Duration::from_secs(30);

/// How Herald proves itself to Cosmos DB.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The account's key: it may do everything, so it is for emulators and tests.
    Key(Secret),
    /// An Entra identity: documents only.
    Identity(Arc<dyn TokenCredential>),
}

impl Proof {
    /// The account's key.
    #[must_use]
    pub fn key(key: &str) -> Self {
        Self::Key(Secret::new(key.to_owned()))
    }
}

/// An account and a database in it.
#[derive(Debug, Clone)]
pub struct Account {
    /// `https://<name>.documents.azure.com`; plain http on loopback only.
    pub endpoint: url::Url,
    /// The database.
    pub database: String,
    /// Who asks.
    pub proof: Proof,
}

impl Account {
    /// A client; asks the service for its regions. `runtime` is the SDK's transport, where it is not the usual one.
    ///
    /// # Errors
    /// As the service's.
    pub async fn client(&self, runtime: Option<CosmosRuntime>) -> Result<CosmosClient, Error> {
        let endpoint = AccountEndpoint::from(self.endpoint.clone());
        let account = match &self.proof {
            Proof::Key(key) => AccountReference::with_authentication_key(endpoint, key.clone()),
            Proof::Identity(credential) => AccountReference::with_credential(endpoint, Arc::clone(credential)),
        };
        let mut builder = CosmosClient::builder()
            .with_default_operation_options(defaults())
            .with_binary_encoding_options(BinaryEncodingOptions::new().with_enabled(false));
        if let Ok(suffix) = UserAgentSuffix::try_from("herald") {
            builder = builder.with_user_agent_suffix(suffix);
        }
        if let Some(runtime) = runtime {
            builder = builder.with_runtime(runtime);
        }
        // No region is preferred: the account's own order begins with the one that is written to.
        let built = Box::pin(builder.build(account, RoutingStrategy::PreferredRegions(Vec::new())));
        soon(async { built.await.map_err(|error| Error::from(Told::of(&error))) }).await
    }

    /// The store in this account; every container must be there.
    ///
    /// # Errors
    /// As the service's; [`Error::Unavailable`] naming `store init` where a container is missing.
    pub async fn open(&self, runtime: Option<CosmosRuntime>, clock: Arc<dyn Clock>) -> Result<CosmosStore, Error> {
        let client = self.client(runtime).await?;
        let containers = Containers::find(&client.database_client(self.database.clone())).await?;
        Ok(CosmosStore::new(containers, clock))
    }
}

/// What holds for every call of Herald's.
fn defaults() -> OperationOptions {
    let mut throttling = ThrottlingRetryOptions::default();
    // The call's own deadline ends the waiting.
    throttling.max_retry_count = Some(1000);
    let mut options = OperationOptions::default();
    options.throttling_retry_options = Some(throttling);
    // A hedged read may come from a region that is behind.
    options.availability_strategy = Some(AvailabilityStrategy::Disabled);
    options
}

/// Waits for the service no longer than opening may take: these calls have no deadline of their own.
pub(super) async fn soon<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(OPENING, work).await.map_err(|_| Error::from(Told::Late))?
}

/// One client per collection.
pub(super) struct Containers(Vec<ContainerClient>);

impl std::fmt::Debug for Containers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Containers")
    }
}

impl Containers {
    async fn find(database: &DatabaseClient) -> Result<Self, Error> {
        let found = Collection::ALL.map(|collection| async move {
            let name = collection.name();
            let looked = async {
                Box::pin(database.container_client(name, None)).await.map_err(|error| missing(collection, &error))
            };
            soon(looked).await
        });
        try_join_all(found).await.map(Self)
    }

    pub(super) fn of(&self, collection: Collection) -> &ContainerClient {
        // In the order of `Collection::ALL`, which is the order of the variants.
        &self.0[collection as usize]
    }
}

/// A container that is not there is a matter of layout, whatever the sub-status.
fn missing(collection: Collection, error: &azure_data_cosmos::CosmosError) -> Error {
    match Told::of(error) {
        Told::Answer(answer, _) if answer.status == 404 => {
            Error::Unavailable(format!("Cosmos DB has no container {}: run `herald store init`", collection.name()))
        }
        told @ (Told::Answer(..) | Told::Late) => told.into(),
    }
}
