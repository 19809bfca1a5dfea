// Lists the models of a project and runs one of them, with a client generated from Servable's contracts.
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"servable.dev/examples/go/gen/inference"
	registryv1 "servable.dev/examples/go/gen/servable/registry/v1"
)

const deadline = 10 * time.Second

func main() {
	log.SetFlags(0)
	address := flag.String("address", "127.0.0.1:8001", "gRPC address of the gateway")
	apiKey := flag.String("api-key", os.Getenv("SERVABLE_API_KEY"), "key (SERVABLE_API_KEY)")
	project := flag.String("project", "default", "project id")
	model := flag.String("model", "simple", "a model with INT32 inputs INPUT0 and INPUT1 of shape [n, 16]")
	flag.Parse()
	if err := run(*address, *apiKey, *project, *model); err != nil {
		log.Fatal(err)
	}
}

func run(address, apiKey, project, model string) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if apiKey != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+apiKey)
	}

	page, err := registryv1.NewModelRegistryServiceClient(connection).ListModels(ctx, &registryv1.ListModelsRequest{Parent: "projects/" + project})
	if err != nil {
		return err
	}
	for _, each := range page.Models {
		fmt.Printf("model %s latest version %d\n", each.Name, each.LatestVersion)
	}

	raw := make([]byte, 0, 64)
	for value := range uint32(16) {
		raw = binary.LittleEndian.AppendUint32(raw, value)
	}
	tensor := func(name string) *inference.ModelInferRequest_InferInputTensor {
		return &inference.ModelInferRequest_InferInputTensor{Name: name, Datatype: "INT32", Shape: []int64{1, 16}}
	}
	response, err := inference.NewGRPCInferenceServiceClient(connection).ModelInfer(ctx, &inference.ModelInferRequest{
		ModelName:        model,
		Inputs:           []*inference.ModelInferRequest_InferInputTensor{tensor("INPUT0"), tensor("INPUT1")},
		RawInputContents: [][]byte{raw, raw},
	})
	if err != nil {
		return err
	}
	for index, output := range response.Outputs {
		values := make([]int32, 16)
		for at := range values {
			values[at] = int32(binary.LittleEndian.Uint32(response.RawOutputContents[index][4*at:]))
		}
		fmt.Println(output.Name, values)
	}
	return nil
}
