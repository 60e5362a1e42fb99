// swift-tools-version: 6.2
//
// What libFuzzer feeds: everything that reads bytes from outside. A package of its own, built by `scripts/fuzz` with coverage
// instrumentation; a build of the product never sees it. OpenAI, JSON and Tokenizer are links to the daemon's parsers, which need nothing else
// of the daemon.

import PackageDescription

let package = Package(
    name: "trainyard-fuzz",
    products: [.library(name: "Fuzz", type: .static, targets: ["Fuzz"])],
    dependencies: [
        .package(name: "trainyard", path: "../.."),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .target(
            name: "Fuzz",
            dependencies: [
                .product(name: "TrainyardFleet", package: "trainyard"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: [
                .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
                .enableUpcomingFeature("MemberImportVisibility"),
            ])
    ]
)
