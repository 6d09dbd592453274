//! Below the library's client: sockets, handshakes and requests as a stranger or a broken program would make them.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, Request, StatusCode};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::body::Body;
use tonic::codegen::Body as _;
use tonic::transport::Channel;
use tower::{Service as _, ServiceExt as _};

use super::authority::Papers;
use super::wait::within;

/// A client's TLS: with papers or without, offering these groups first to last (all, where none are named).
pub(crate) fn tls(
    authority_pem: &str,
    papers: Option<&Papers>,
    groups: &[&'static dyn SupportedKxGroup],
) -> ClientConfig {
    let mut provider: CryptoProvider = aws_lc_rs::default_provider();
    if !groups.is_empty() {
        provider.kx_groups = groups.to_vec();
    }
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority_pem.as_bytes()).expect("PEM")).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3 is there")
        .with_root_certificates(roots);
    let mut config = match papers {
        None => builder.with_no_client_auth(),
        Some(papers) => {
            let chain = vec![CertificateDer::from_pem_slice(papers.certificate.as_bytes()).expect("PEM")];
            let key = PrivateKeyDer::from_pem_slice(papers.key.as_bytes()).expect("PEM");
            builder.with_client_auth_cert(chain, key).expect("a key that fits")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::in_memory_sessions(16);
    config
}

/// Shakes hands and takes in the hub's first bytes: in TLS 1.3 a refusal comes with them.
pub(crate) async fn shake_hands(
    address: &str,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    within("a handshake ends", async {
        let socket = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        let mut tls = TlsConnector::from(config).connect(name, socket).await?;
        let mut first = [0_u8; 9];
        tls.read_exact(&mut first).await?;
        Ok(tls)
    })
    .await
}

/// The alert of TLS in an error.
pub(crate) fn alert(error: &io::Error) -> Option<rustls::AlertDescription> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// Sends bytes on a plain socket, and gives what comes until the other side closes.
pub(crate) async fn send_plain(address: &str, bytes: &[u8]) -> Vec<u8> {
    within("the hub closes the socket", async {
        let mut socket = TcpStream::connect(address).await.expect("the hub listens");
        // The hub may close while the bytes are on the way.
        let _ = socket.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        answer
    })
    .await
}

/// What a request got.
pub(crate) struct Answer {
    /// The status of HTTP.
    pub(crate) http: StatusCode,
    /// Headers and trailers together.
    pub(crate) headers: HeaderMap,
    /// The body's bytes.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The status of gRPC, where there is one.
    pub(crate) fn grpc(&self) -> Option<i32> {
        self.headers.get("grpc-status")?.to_str().ok()?.parse().ok()
    }
}

/// Makes a request with a body that need not be a message; `None` where it was cut off instead of answered.
pub(crate) async fn request(
    channel: &Channel,
    method: &str,
    path: &str,
    kind: &str,
    body: String,
) -> Option<Answer> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", kind)
        .header("te", "trailers")
        .body(Body::new(body))
        .expect("a request");
    within("a request is answered", async {
        let mut channel = channel.clone();
        let response = channel.ready().await.ok()?.call(request).await.ok()?;
        let (parts, mut body) = response.into_parts();
        let (mut headers, mut bytes) = (parts.headers, Vec::new());
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            match frame.ok()?.into_data() {
                Ok(data) => bytes.extend(data),
                Err(frame) => headers.extend(frame.into_trailers().unwrap_or_default()),
            }
        }
        Some(Answer { http: parts.status, headers, body: bytes })
    })
    .await
}
