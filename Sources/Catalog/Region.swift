/// A place with its efficiency and its grid.
public struct Region: FiguredEntry, Hashable, Encodable {
    public static let kind = "region"
    public static let file = "regions.json"

    /// As the cloud writes it: `us-east-2`. `global` is the mean over all sites.
    public var id: String
    public var name: String
    public var aliases: [String]
    /// Facility energy over IT energy, yearly mean.
    public var powerUsageEffectiveness: Figure<Double>?
    /// Litres of water per kWh of IT energy, yearly mean.
    public var waterLitresPerKilowattHour: Figure<Double>?
    /// Grams of CO2 equivalent per kWh drawn from the grid, yearly mean.
    public var carbonGramsPerKilowattHour: Figure<Double>?
    /// Who balances the grid (US regions).
    public var balancingAuthority: String?

    public static var figureNames: [PartialKeyPath<Region>: String] {
        [
            \Region.powerUsageEffectiveness: "powerUsageEffectiveness",
            \Region.waterLitresPerKilowattHour: "waterLitresPerKilowattHour",
            \Region.carbonGramsPerKilowattHour: "carbonGramsPerKilowattHour",
        ]
    }
}
