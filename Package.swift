// swift-tools-version: 6.2
//
// The house of Trainyard. Each target stands on a floor and imports only targets on lower floors;
// `Tests/HouseTests` reads this file and every import, and fails when one climbs.

import PackageDescription

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioHPACK = Target.Dependency.product(name: "NIOHPACK", package: "swift-nio-http2")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTP2 = Target.Dependency.product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

/// A library target and its mirror under `Tests/`.
func room(_ name: String, _ dependencies: [Target.Dependency], tests: [Target.Dependency] = []) -> [Target] {
    [
        .target(name: name, dependencies: dependencies, swiftSettings: strict),
        .testTarget(
            name: "\(name)Tests",
            dependencies: [.target(name: name)] + dependencies + tests,
            swiftSettings: strict
        ),
    ]
}

let ground: [Target] = [
    // floor 0
    .systemLibrary(name: "CNuma", pkgConfig: "numa", providers: [.apt(["libnuma-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "CHost", cSettings: [.define("_GNU_SOURCE")]),
    .target(name: "CSocket", cSettings: [.define("_GNU_SOURCE")]),
    .target(name: "CCatalogData", exclude: ["data"]),
    // for tests only
    .target(name: "CCoroutine", path: "Tests/CCoroutine"),
    .target(name: "CAllocationCount", path: "Tests/CAllocationCount"),
]

let rooms: [[Target]] = [
    // floor 0
    room("Spelling", []),
    // floor 1
    room("WaitFree", ["CHost"], tests: ["CCoroutine", "CAllocationCount"]),
    room("HostTopology", ["CHost", "CNuma"]),
    room("Catalog", ["CCatalogData", "Spelling"]),
    // floor 2
    room("StepModel", ["CCatalogData", "Catalog"]),
    room("Workload", ["CZlib", "Spelling"]),
    // floor 3
    room("Engine", ["CHost", "StepModel", "Workload"], tests: ["CAllocationCount"]),
    // floor 4
    room("Yard", ["Engine", "WaitFree", "HostTopology", "StepModel", "Workload"]),
    // floor 5
    room("Fleet", ["Yard", "Engine", "StepModel", "Catalog", "Workload", "Spelling", yams]),
    room("Ledger", ["Yard", "Engine", "StepModel", "Catalog", "Workload", grdb]),
    room("Conformance", ["Engine", "StepModel", "Workload", "CZlib"]),
    // floor 6
    room(
        "Simulator",
        ["Fleet", "Ledger", "Yard", "Engine", "StepModel", "Workload", "WaitFree", "HostTopology", "Catalog"]),
    room("Report", ["Ledger", "Fleet", "Engine", "StepModel", "Catalog", "Workload"]),
    // floor 7
    room(
        "Server",
        [
            "Fleet", "Ledger", "Report", "Yard", "Engine", "StepModel", "Workload", "Catalog", "WaitFree",
            "HostTopology",
            "CHost", crypto, hummingbird, logging, nioCore, nioHTTP1, nioPosix, nioSSL, serviceLifecycle, unixSignals,
            yams,
        ]
    ),
    room("Validation", ["CZlib", "Engine", "StepModel", "Workload", "Catalog", "Spelling"]),
    room(
        "LoadGenerator",
        [
            "Workload", "CHost", "CSocket", nioCore, nioEmbedded, nioHPACK, nioHTTP2, nioPosix, nioSSL, nioTLS,
            histogram,
        ]),
]

let mains: [Target] = [
    // floor 8
    .executableTarget(
        name: "trainyardd",
        dependencies: ["Server", argumentParser, logging, serviceLifecycle, unixSignals],
        swiftSettings: strict
    ),
    .executableTarget(
        name: "trainyard",
        dependencies: [
            "Simulator", "Report", "Ledger", "Fleet", "LoadGenerator", "Validation", "Conformance", "Workload", "Yard",
            "Engine", "StepModel", "Catalog", "Spelling",
            argumentParser,
        ],
        swiftSettings: strict
    ),
]

let houseTests: [Target] = [
    .testTarget(name: "HouseTests", swiftSettings: strict),
    .testTarget(name: "EndToEnd", dependencies: ["trainyard", "trainyardd"], swiftSettings: strict),
]

let package = Package(
    name: "trainyard",
    products: [
        .executable(name: "trainyard", targets: ["trainyard"]),
        .executable(name: "trainyardd", targets: ["trainyardd"]),
        .library(name: "TrainyardCore", targets: ["WaitFree", "Engine", "Yard", "Simulator"]),
        .library(name: "TrainyardEngine", targets: ["Engine", "StepModel", "Workload", "Conformance"]),
        .library(name: "TrainyardFleet", targets: ["Fleet", "Catalog", "StepModel", "Workload"]),
        .library(name: "TrainyardWaitFree", targets: ["WaitFree", "HostTopology"]),
        .library(name: "TrainyardYard", targets: ["Yard"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: ground + rooms.flatMap { $0 } + mains + houseTests
)
