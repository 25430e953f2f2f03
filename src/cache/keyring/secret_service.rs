//! The Secret Service, which GNOME Keyring, KDE's wallet and KeePassXC provide: its default keyring, asked
//! over the user's bus. It is never asked to unlock, so it prompts nobody.

use std::collections::HashMap;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::str::FromStr as _;

use rustix::net::sockopt::socket_peercred;
use serde::Serialize;
use zbus::address::Address;
use zbus::address::transport::{Transport, UnixSocket};
use zbus::connection::Builder;
use zbus::{Connection, DynamicType, Message, OwnedObjectPath, OwnedVariant, Variant};

use super::super::APPLICATION;

const SERVICE: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";
/// The interfaces of the root, of keyrings, and of what is in them.
const OF_SERVICE: &str = "org.freedesktop.Secret.Service";
const OF_COLLECTION: &str = "org.freedesktop.Secret.Collection";
const OF_ITEM: &str = "org.freedesktop.Secret.Item";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// The path of no object.
const NONE: &str = "/";

/// A secret as it travels: session, parameters of an encryption, value, content type. It travels in the
/// clear, by a socket that only this user and root can listen to.
type Secret = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

/// The default keyring, which is unlocked, in a session with its service.
struct Collection {
    connection: Connection,
    path: OwnedObjectPath,
    session: OwnedObjectPath,
}

pub(super) fn read(bus: &str, name: &str) -> Result<Option<Vec<u8>>, String> {
    run(async {
        let collection = Collection::open(bus).await?;
        match collection.items(Some(name)).await?.first() {
            Some(item) => collection.secret(item).await.map(Some),
            None => Ok(None),
        }
    })
}

pub(super) fn write(bus: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
    run(async { Collection::open(bus).await?.put(name, bytes).await })
}

pub(super) fn names(bus: &str) -> Result<Vec<String>, String> {
    run(async {
        let collection = Collection::open(bus).await?;
        let mut names = Vec::new();
        for item in collection.items(None).await? {
            names.extend(collection.name(&item).await?);
        }
        Ok(names)
    })
}

pub(super) fn remove(bus: &str, name: &str) -> Result<(), String> {
    run(async {
        let collection = Collection::open(bus).await?;
        for item in collection.items(Some(name)).await? {
            collection.delete(&item).await?;
        }
        Ok(())
    })
}

fn run<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work)
}

impl Collection {
    async fn open(bus: &str) -> Result<Self, String> {
        let stream = connect(bus)?;
        let connection = Builder::unix_stream(stream).build().await.map_err(|error| error.to_string())?;
        let reply = call(&connection, ROOT, OF_SERVICE, "ReadAlias", &"default").await?;
        let path: OwnedObjectPath = body(&reply)?;
        if path.as_str() == NONE {
            return Err("it has no default keyring".to_owned());
        }
        let reply = call(&connection, path.as_str(), PROPERTIES, "Get", &(OF_COLLECTION, "Locked")).await?;
        if matches!(*body::<OwnedVariant>(&reply)?, Variant::Bool(true)) {
            return Err("its default keyring is locked; unlock it".to_owned());
        }
        let reply = call(&connection, ROOT, OF_SERVICE, "OpenSession", &("plain", Variant::from(""))).await?;
        let (_, session): (OwnedVariant, OwnedObjectPath) = body(&reply)?;
        Ok(Self { connection, path, session })
    }

    /// The program's items, or those of one name.
    async fn items(&self, name: Option<&str>) -> Result<Vec<OwnedObjectPath>, String> {
        let attributes = attributes(name);
        let reply = call(&self.connection, self.path.as_str(), OF_COLLECTION, "SearchItems", &attributes).await?;
        body(&reply)
    }

    async fn secret(&self, item: &OwnedObjectPath) -> Result<Vec<u8>, String> {
        let reply = call(&self.connection, item.as_str(), OF_ITEM, "GetSecret", &self.session).await?;
        body(&reply).map(|(_, _, value, _): Secret| value)
    }

    async fn name(&self, item: &OwnedObjectPath) -> Result<Option<String>, String> {
        let reply = call(&self.connection, item.as_str(), PROPERTIES, "Get", &(OF_ITEM, "Attributes")).await?;
        let value: OwnedVariant = body(&reply)?;
        let mut attributes: HashMap<String, String> =
            value.try_into().map_err(|error: zbus::Error| error.to_string())?;
        Ok(attributes.remove("key"))
    }

    /// Makes an item, in place of those of the same name. The service replaces one; another program may
    /// have made more.
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let secret: Secret = (self.session.clone(), Vec::new(), bytes.to_vec(), "text/plain".to_owned());
        let properties = HashMap::from([
            ("org.freedesktop.Secret.Item.Label", Variant::from("RDS IAM token (rds-token)")),
            ("org.freedesktop.Secret.Item.Attributes", Variant::from(attributes(Some(name)))),
        ]);
        let request = (properties, secret, true);
        let reply = call(&self.connection, self.path.as_str(), OF_COLLECTION, "CreateItem", &request).await?;
        let (made, prompt): (OwnedObjectPath, OwnedObjectPath) = body(&reply)?;
        done(&prompt)?;
        for item in self.items(Some(name)).await?.iter().filter(|item| **item != made) {
            self.delete(item).await?;
        }
        Ok(())
    }

    async fn delete(&self, item: &OwnedObjectPath) -> Result<(), String> {
        let reply = call(&self.connection, item.as_str(), OF_ITEM, "Delete", &()).await?;
        done(&body(&reply)?)
    }
}

/// Connects to a bus of this user. An address may be a list, of which the first one that answers is used.
fn connect(bus: &str) -> Result<UnixStream, String> {
    let mut failure = "DBUS_SESSION_BUS_ADDRESS has no address; set it to your bus, or unset it".to_owned();
    for address in bus.split(';').filter(|address| !address.is_empty()) {
        // Over a network, tokens would be sent in clear, and the host name would be looked up by NSS.
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

/// Refuses the bus of another user, which would get the token. Its address may be inherited through `su`, or lead into a
/// directory that others can write.
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

/// What items are found by.
fn attributes(name: Option<&str>) -> HashMap<&'static str, String> {
    let mut attributes = HashMap::from([("application", APPLICATION.to_owned())]);
    attributes.extend(name.map(|name| ("key", name.to_owned())));
    attributes
}

/// A request is done, or waits for a prompt that nobody will start.
fn done(prompt: &OwnedObjectPath) -> Result<(), String> {
    match prompt.as_str() {
        NONE => Ok(()),
        _ => Err("it wants to ask its user first".to_owned()),
    }
}

async fn call<B: Serialize + DynamicType>(
    connection: &Connection,
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<Message, String> {
    let reply = connection.call_method(Some(SERVICE), path, Some(interface), method, body).await;
    reply.map_err(|error| error.to_string())
}

fn body<T: for<'a> zbus::wire::DynamicDeserialize<'a>>(reply: &Message) -> Result<T, String> {
    reply.body().deserialize().map_err(|error| error.to_string())
}
