//===----------------------------------------------------------------------===//
// trainyard catalog: what is known, with source and grade.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Catalog
import Report

struct CatalogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalog",
        abstract: "What is known of hardware, models, prices and places, each figure with its source and grade.",
        discussion:
            "Without a name it lists everything. A name may be of any kind, or the path of a Hugging Face config.json."
    )

    @Argument(help: "Accelerator, instance, model, region or fact, or the path of a Hugging Face config.json.")
    var name: String?

    @OptionGroup var catalogue: CatalogOptions

    @OptionGroup var common: CommonOptions

    func run() throws {
        let catalog = try catalogue.open()
        let items = try name.map { try catalog.items(named: $0) } ?? catalog.items
        try common.write(
            text: name == nil ? catalog.listing : items.map { catalog.text(of: $0) }.joined(separator: "\n"),
            json: ReportJSON.text(Contents(items: items, prices: prices(of: items, in: catalog))))
    }

    /// All prices with everything, those of the things named with a name.
    private func prices(of items: [CatalogItem], in catalog: Catalog) -> [Price] {
        if name == nil { return catalog.prices.prices }
        var prices: [Price] = []
        for item in items {
            switch item {
            case .accelerator(let accelerator): prices += catalog.prices.prices(of: accelerator.id)
            case .instance(let instance):
                prices += catalog.prices.prices(of: instance.id) + catalog.prices.prices(of: instance.accelerator)
            case .model, .region, .fact: break
            }
        }
        return prices
    }

    private struct Contents: Encodable {
        var items: [CatalogItem]
        var prices: [Price]
    }
}
