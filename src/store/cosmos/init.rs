//! Lays out the database, and looks whether it is laid out.

use azure_data_cosmos::models::ContainerProperties;
use azure_data_cosmos::{CosmosError, CosmosRuntime, DatabaseClient};
use serde_json::Value;

use super::calls::Told;
use super::containers::{Account, Proof, soon};
use super::layout::Layout;
use crate::store::{Collection, Error};

/// How one container was found, or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It was not there and is now.
    Created,
    /// It is as it must be.
    Fine,
    /// It is not there.
    Missing,
    /// It is there, and cannot be used as it is.
    Differs(Vec<String>),
}

/// Creates what is missing, and changes nothing that is there; answers how each container is afterwards.
///
/// # Errors
/// As the service's; [`Error::Refused`] with an Entra identity, which may not create anything.
pub async fn create(account: &Account, runtime: Option<CosmosRuntime>) -> Result<Vec<(Layout, Finding)>, Error> {
    if matches!(account.proof, Proof::Identity(_)) {
        return Err(Error::Refused("an Entra identity reads and writes documents, and creates no containers".into()));
    }
    let client = account.client(runtime).await?;
    soon(async { made(Box::pin(client.create_database(&account.database, None)).await) }).await?;
    let database = client.database_client(account.database.clone());
    let mut findings = Vec::new();
    for collection in Collection::ALL {
        let layout = Layout::of(collection);
        let properties = properties(&layout)?;
        let is_new = soon(async { made(Box::pin(database.create_container(properties, None)).await) }).await?;
        findings.push((layout, if is_new { Finding::Created } else { soon(look(&database, &layout)).await? }));
    }
    Ok(findings)
}

/// Looks at every container.
///
/// # Errors
/// As the service's.
pub async fn check(account: &Account, runtime: Option<CosmosRuntime>) -> Result<Vec<(Layout, Finding)>, Error> {
    let client = account.client(runtime).await?;
    let database = client.database_client(account.database.clone());
    let mut findings = Vec::new();
    for layout in Collection::ALL.map(Layout::of) {
        findings.push((layout, soon(look(&database, &layout)).await?));
    }
    Ok(findings)
}

/// What a template must contain where the data plane may not create: Bicep, to be put into a template that names the
/// account.
#[must_use]
pub fn template(database: &str) -> String {
    let containers = Collection::ALL.map(|collection| bicep(&Layout::of(collection).resource(), 4));
    format!(
        "resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2024-05-15' = {{\n  \
           parent: account\n  name: '{database}'\n  properties: {{\n    resource: {{ id: '{database}' }}\n    \
           options: {{ autoscaleSettings: {{ maxThroughput: 4000 }} }} // shared by all containers; omit when serverless\n  \
           }}\n}}\n\nvar containers = [\n{}\n]\n\n\
         resource container 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2024-05-15' = [\n  \
           for resource in containers: {{\n    parent: database\n    name: resource.id\n    \
           properties: {{ resource: resource }}\n  }}\n]\n",
        containers.map(|text| format!("    {text}")).join("\n")
    )
}

/// JSON as a Bicep literal.
fn bicep(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent + 2);
    let end = " ".repeat(indent);
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::Array(values) if values.is_empty() => "[]".to_owned(),
        Value::Array(values) => {
            let lines = values.iter().map(|value| format!("{pad}{}\n", bicep(value, indent + 2)));
            format!("[\n{}{end}]", lines.collect::<String>())
        }
        Value::Object(fields) => {
            let lines = fields.iter().map(|(name, value)| format!("{pad}{name}: {}\n", bicep(value, indent + 2)));
            format!("{{\n{}{end}}}", lines.collect::<String>())
        }
    }
}

async fn look(database: &DatabaseClient, layout: &Layout) -> Result<Finding, Error> {
    let container = match Box::pin(database.container_client(layout.name(), None)).await {
        Ok(container) => container,
        Err(error) if u16::from(error.status().status_code()) == 404 => return Ok(Finding::Missing),
        Err(error) => return Err(Told::of(&error).into()),
    };
    let read = Box::pin(container.read(None)).await.map_err(|error| Error::from(Told::of(&error)))?;
    let found = read.into_model().map_err(|error| Error::Corrupt(format!("{}: {error}", layout.name())))?;
    let found = serde_json::to_value(&found).map_err(|error| Error::Corrupt(error.to_string()))?;
    let objections = layout.objections(&found);
    Ok(if objections.is_empty() { Finding::Fine } else { Finding::Differs(objections) })
}

fn properties(layout: &Layout) -> Result<ContainerProperties, Error> {
    serde_json::from_value(layout.resource()).map_err(|error| Error::Corrupt(format!("{}: {error}", layout.name())))
}

/// Whether it was made now; somebody else's being faster is as good.
fn made<T>(created: Result<T, CosmosError>) -> Result<bool, Error> {
    match created {
        Ok(_) => Ok(true),
        Err(error) if error.status().is_conflict() => Ok(false),
        Err(error) => Err(Told::of(&error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_names_every_container_with_its_key_its_indexes_and_its_ttl() {
        let text = template("herald");
        for layout in Collection::ALL.map(Layout::of) {
            let part = text.split("id: '").find(|part| part.starts_with(&format!("{}'", layout.name())));
            let part = part.unwrap_or_else(|| panic!("{} is missing", layout.name()));
            for key in layout.keys {
                assert!(part.contains(&format!("'/{key}'")), "{key} in {part}");
            }
            for name in layout.indexed {
                assert!(part.contains(&format!("'/{name}/?'")), "{name} in {part}");
            }
        }
        assert_eq!(text.matches("defaultTtl: -1").count(), 4);
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
