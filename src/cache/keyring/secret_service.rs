//! The Secret Service of the desktop: GNOME Keyring, KDE Wallet or KeePassXC.
//!
//! Only its default collection is used, over the user's bus. It is never unlocked, so the user is never prompted.

use std::collections::HashMap;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::str::FromStr as _;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use serde::Serialize;
use zbus::address::Address;
use zbus::address::transport::{Transport, UnixSocket};
use zbus::connection::Builder;
use zbus::wire::DynamicDeserialize;
use zbus::{Connection, DynamicType, OwnedObjectPath, OwnedVariant, Variant};

use super::backend::{APPLICATION, Backend, Item, Properties};
use crate::os::env::Env;
use crate::os::private_file::Directory;

const BUS_NAME: &str = "org.freedesktop.secrets";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";
const COLLECTION: &str = "org.freedesktop.Secret.Collection";
const ITEM: &str = "org.freedesktop.Secret.Item";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// The D-Bus path that means "no object".
const NO_OBJECT: &str = "/";

/// The API's structure of a secret: session, encryption parameters, value, content type. The value is not encrypted,
/// because only this user and root can read from the socket.
type Secret = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

pub(super) struct SecretService {
    /// The address of the user's bus, or the reason why no bus can be used.
    bus: Result<String, String>,
}

impl SecretService {
    /// Selects the bus: `DBUS_SESSION_BUS_ADDRESS`, or the one in the user's runtime directory.
    pub(super) fn locate(env: &Env) -> Self {
        Self { bus: env.var("DBUS_SESSION_BUS_ADDRESS").map_or_else(|| runtime_bus(env), Ok) }
    }

    fn run<T>(&self, work: impl AsyncFnOnce(Collection) -> Result<T, String>) -> Result<T, String> {
        let bus = self.bus.as_deref()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(async { work(Collection::open(bus).await?).await })
    }
}

impl Backend for SecretService {
    fn properties(&self) -> &'static Properties {
        &Properties { name: "the Secret Service", can_block: true, expires_entries: false, max_size: None }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        self.run(async |collection| match collection.items(Some(name)).await?.as_slice() {
            [] => Ok(None),
            [item, ..] => collection.secret(item).await.map(Some),
        })
    }

    fn write(&self, name: &str, bytes: &[u8], _: Duration) -> Result<(), String> {
        self.run(async |collection| collection.put(name, bytes).await)
    }

    fn list(&self) -> Result<Vec<Item>, String> {
        self.run(async |collection| {
            let mut list: Vec<Item> = Vec::new();
            for item in collection.items(None).await? {
                let Some(name) = collection.name(&item).await? else { continue };
                // Another program may have created more than one item with this name.
                if list.iter().all(|(other, _)| *other != name) {
                    list.push((name, Some(collection.secret(&item).await?)));
                }
            }
            Ok(list)
        })
    }

    fn remove(&self, names: &[String]) -> Result<(), String> {
        self.run(async |collection| {
            for name in names {
                for item in collection.items(Some(name)).await? {
                    collection.delete(&item).await?;
                }
            }
            Ok(())
        })
    }
}

/// The unlocked default collection, and a session with the service.
struct Collection {
    connection: Connection,
    path: OwnedObjectPath,
    session: OwnedObjectPath,
}

impl Collection {
    async fn open(bus: &str) -> Result<Self, String> {
        let stream = connect(bus)?;
        let connection = Builder::unix_stream(stream).build().await.map_err(|error| error.to_string())?;
        let path: OwnedObjectPath = call(&connection, SERVICE_PATH, SERVICE, "ReadAlias", &"default").await?;
        if path.as_str() == NO_OBJECT {
            return Err("it has no default keyring".to_owned());
        }
        let locked: OwnedVariant = call(&connection, path.as_str(), PROPERTIES, "Get", &(COLLECTION, "Locked")).await?;
        if matches!(*locked, Variant::Bool(true)) {
            return Err("its default keyring is locked; unlock it".to_owned());
        }
        let algorithm = ("plain", Variant::from(""));
        let (_, session): (OwnedVariant, OwnedObjectPath) =
            call(&connection, SERVICE_PATH, SERVICE, "OpenSession", &algorithm).await?;
        Ok(Self { connection, path, session })
    }

    /// The program's items, or only those with this name.
    async fn items(&self, name: Option<&str>) -> Result<Vec<OwnedObjectPath>, String> {
        call(&self.connection, self.path.as_str(), COLLECTION, "SearchItems", &attributes(name)).await
    }

    async fn secret(&self, item: &OwnedObjectPath) -> Result<Vec<u8>, String> {
        let secret = call(&self.connection, item.as_str(), ITEM, "GetSecret", &self.session).await;
        secret.map(|(_, _, value, _): Secret| value)
    }

    async fn name(&self, item: &OwnedObjectPath) -> Result<Option<String>, String> {
        let value: OwnedVariant =
            call(&self.connection, item.as_str(), PROPERTIES, "Get", &(ITEM, "Attributes")).await?;
        let mut attributes: HashMap<String, String> =
            value.try_into().map_err(|error: zbus::Error| error.to_string())?;
        Ok(attributes.remove("key"))
    }

    /// Creates an item and removes all others with the same name. The service itself replaces only one.
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let secret: Secret = (self.session.clone(), Vec::new(), bytes.to_vec(), "text/plain".to_owned());
        let properties = HashMap::from([
            ("org.freedesktop.Secret.Item.Label", Variant::from("RDS IAM token (rds-token)")),
            ("org.freedesktop.Secret.Item.Attributes", Variant::from(attributes(Some(name)))),
        ]);
        let request = (properties, secret, true);
        let (created, prompt): (OwnedObjectPath, OwnedObjectPath) =
            call(&self.connection, self.path.as_str(), COLLECTION, "CreateItem", &request).await?;
        refuse_prompt(&prompt)?;
        for item in self.items(Some(name)).await?.iter().filter(|item| **item != created) {
            self.delete(item).await?;
        }
        Ok(())
    }

    async fn delete(&self, item: &OwnedObjectPath) -> Result<(), String> {
        refuse_prompt(&call(&self.connection, item.as_str(), ITEM, "Delete", &()).await?)
    }
}

/// The bus in the user's runtime directory, which must be private: another user could run a bus there otherwise.
fn runtime_bus(env: &Env) -> Result<String, String> {
    let directory = env.runtime_dir().ok_or("no bus is configured; set DBUS_SESSION_BUS_ADDRESS")?;
    let directory = Directory::open(&directory).map_err(|error| format!("XDG_RUNTIME_DIR: {error}"))?;
    Ok(format!("unix:path={}/bus", directory.path().display()))
}

/// Connects to a bus of this user. `bus` is an address, or a list of addresses to try in order.
fn connect(bus: &str) -> Result<UnixStream, String> {
    let mut failure = "DBUS_SESSION_BUS_ADDRESS has no address; set it to your bus, or unset it".to_owned();
    for address in bus.split(';').filter(|address| !address.is_empty()) {
        // Over a network, tokens would be sent unencrypted, and NSS would resolve the host name.
        let Ok(Transport::Unix(unix)) = Address::from_str(address).map(|address| address.transport().clone()) else {
            return Err(format!(
                "DBUS_SESSION_BUS_ADDRESS is '{bus}', which is not a socket of this machine; set it to an \
                 address such as unix:path=/run/user/1000/bus"
            ));
        };
        match connect_to(unix.path()) {
            Ok(stream) => return check_peer(stream),
            Err(error) => failure = format!("could not connect to the bus {address}: {error}"),
        }
    }
    Err(failure)
}

fn connect_to(socket: &UnixSocket) -> io::Result<UnixStream> {
    match socket {
        UnixSocket::File(path) => UnixStream::connect(path),
        UnixSocket::Abstract(name) => {
            UnixStream::connect_addr(&SocketAddr::from_abstract_name(name.as_encoded_bytes())?)
        }
        _ => Err(io::Error::other("the address does not name a socket")),
    }
}

/// Refuses the bus of another user, because that user would get the token. `su` can pass on such an address, and other
/// users may be able to write to the socket's directory.
fn check_peer(stream: UnixStream) -> Result<UnixStream, String> {
    let peer = socket_peercred(&stream).map_err(|error| error.to_string())?;
    match peer.uid == rustix::process::getuid() {
        true => Ok(stream),
        false => Err(format!(
            "the bus belongs to another user (uid {}); unset DBUS_SESSION_BUS_ADDRESS, or set it to your own",
            peer.uid.as_raw()
        )),
    }
}

fn attributes(name: Option<&str>) -> HashMap<&'static str, String> {
    let mut attributes = HashMap::from([("application", APPLICATION.to_owned())]);
    attributes.extend(name.map(|name| ("key", name.to_owned())));
    attributes
}

/// Fails if the service needs a prompt to complete a request. The prompt is not shown.
fn refuse_prompt(prompt: &OwnedObjectPath) -> Result<(), String> {
    match prompt.as_str() {
        NO_OBJECT => Ok(()),
        _ => Err("it requires a prompt, which rds-token does not show".to_owned()),
    }
}

async fn call<T: for<'a> DynamicDeserialize<'a>>(
    connection: &Connection,
    path: &str,
    interface: &str,
    method: &str,
    body: &(impl Serialize + DynamicType),
) -> Result<T, String> {
    let reply = connection.call_method(Some(BUS_NAME), path, Some(interface), method, body).await;
    reply.and_then(|reply| reply.body().deserialize()).map_err(|error| error.to_string())
}
