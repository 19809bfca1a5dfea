//! The mark to close in on: tonic and the same libonnxruntime, one session a worker thread, no batching.
//! usage: ORT_DYLIB_PATH=libonnxruntime.so peer MODEL.onnx

use std::cell::RefCell;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use ort::session::Session;
use ort::value::TensorRef;
use tonic::codegen::{Body, BoxFuture, StdError};
use tonic::{Request, Response, Status};

#[derive(Clone, PartialEq, prost::Message)]
pub struct InputTensor {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub shape: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ModelInferRequest {
    #[prost(string, tag = "1")]
    pub model_name: String,
    #[prost(message, repeated, tag = "5")]
    pub inputs: Vec<InputTensor>,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub raw_input_contents: Vec<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ModelInferResponse {
    #[prost(string, tag = "1")]
    pub model_name: String,
    #[prost(message, repeated, tag = "5")]
    pub outputs: Vec<InputTensor>,
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub raw_output_contents: Vec<Bytes>,
}

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

fn open(path: &str) -> ort::Result<Session> {
    Session::builder()?.with_intra_threads(1)?.commit_from_file(path)
}

fn infer(path: &str, request: ModelInferRequest) -> Result<ModelInferResponse, Status> {
    let failed = |error: ort::Error| Status::invalid_argument(error.to_string());
    SESSION.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(open(path).map_err(failed)?);
        }
        let session = slot.as_mut().expect("just opened");
        let (Some(tensor), Some(raw)) = (request.inputs.first(), request.raw_input_contents.first()) else {
            return Err(Status::invalid_argument("one input is needed"));
        };
        // The view is unaligned, so the floats are copied once.
        let floats: Vec<f32> = raw.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().expect("four bytes"))).collect();
        let shape: Vec<usize> = tensor.shape.iter().map(|size| *size as usize).collect();
        let input = TensorRef::from_array_view((shape, floats.as_slice())).map_err(failed)?;
        let outputs = session.run(ort::inputs![input]).map_err(failed)?;
        let (shape, values) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let output = InputTensor { name: "output".into(), datatype: "FP32".into(), shape: shape.to_vec() };
        Ok(ModelInferResponse { model_name: request.model_name, outputs: vec![output], raw_output_contents: vec![bytes.into()] })
    })
}

#[derive(Clone)]
struct Inference {
    path: Arc<String>,
}

struct Infer(Arc<String>);

impl tonic::server::UnaryService<ModelInferRequest> for Infer {
    type Response = ModelInferResponse;
    type Future = BoxFuture<Response<Self::Response>, Status>;

    fn call(&mut self, request: Request<ModelInferRequest>) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move { infer(&path, request.into_inner()).map(Response::new) })
    }
}

impl<B> tonic::codegen::Service<http::Request<B>> for Inference
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::BoxBody>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let path = self.path.clone();
        Box::pin(async move {
            let codec = tonic::codec::ProstCodec::default();
            let mut grpc = tonic::server::Grpc::new(codec).max_decoding_message_size(64 << 20);
            Ok(grpc.unary(Infer(path), request).await)
        })
    }
}

impl tonic::server::NamedService for Inference {
    const NAME: &'static str = "inference.GRPCInferenceService";
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: peer MODEL.onnx")?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    tonic::transport::Server::builder()
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .add_service(Inference { path: Arc::new(path) })
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener))
        .await?;
    Ok(())
}
